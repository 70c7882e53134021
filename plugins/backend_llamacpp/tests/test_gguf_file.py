"""What a GGUF file says of itself."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from swarmgate.api import EngineError
from swarmgate_backend_llamacpp.gguf_file import read_gguf
from tinygguf import Shape, write_bert, write_cut_short, write_llama, write_not_gguf, write_wrong_version


def test_reads_metadata_and_tensors(tmp_path: Path) -> None:
    """Scalars, strings and array lengths are there, and the tensors' sizes add up to the file's data."""
    path = write_llama(tmp_path / "tiny.gguf", name="little", shape=Shape(layers=3, width=64), quantized=None)
    file = read_gguf(path)
    assert (file.architecture, file.text("general.name"), file.number("{arch}.block_count")) == ("llama", "little", 3)
    assert file.number("tokenizer.ggml.tokens.length") > 259
    assert file.quantization == "F32"
    assert file.parameters * 4 == file.weight_bytes < path.stat().st_size
    assert {"token_embd.weight", "blk.2.attn_q.weight"} <= {tensor.name for tensor in file.tensors}


def test_fingerprints_tell_models_apart(tmp_path: Path) -> None:
    """A copy under another name has the same fingerprint; other metadata or shapes have another."""
    path = write_llama(tmp_path / "a.gguf")
    copy = shutil.copy(path, tmp_path / "b.gguf")
    other = write_llama(tmp_path / "c.gguf", shape=Shape(layers=3))
    assert read_gguf(path).fingerprint == read_gguf(Path(copy)).fingerprint
    assert read_gguf(path).fingerprint != read_gguf(other).fingerprint
    assert read_gguf(path).fingerprint != read_gguf(write_bert(tmp_path / "d.gguf")).fingerprint


def test_missing_keys_are_empty(tmp_path: Path) -> None:
    """What is not there reads as nothing, never as an error."""
    file = read_gguf(write_llama(tmp_path / "tiny.gguf"))
    assert (file.text("no.such"), file.number("no.such"), file.number("general.name")) == ("", 0, 0)


def test_refuses_what_is_no_model(tmp_path: Path) -> None:
    """Each way a file can be wrong has a message that names the file and the remedy."""
    cases = {
        "there is no model file": tmp_path / "missing.gguf",
        "is a directory": tmp_path,
        "is not a GGUF file": write_not_gguf(tmp_path / "zip.gguf"),
        "is GGUF version 99": write_wrong_version(tmp_path / "old.gguf"),
        "is cut short": write_cut_short(tmp_path / "cut.gguf"),
    }
    for message, path in cases.items():
        with pytest.raises(EngineError, match=message) as caught:
            read_gguf(path)
        assert str(path) in str(caught.value)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the bytes of a sound file."""
    return write_llama(tmp_path_factory.mktemp("gguf") / "tiny.gguf").read_bytes()


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_no_damage_to_the_head_is_a_surprise(
    whole: bytes, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever bytes of the head are wrong, reading says EngineError or reads; it never fails otherwise."""
    at = data.draw(st.integers(0, 4000))
    junk = data.draw(st.binary(min_size=1, max_size=16))
    path = tmp_path_factory.mktemp("junk") / "junk.gguf"
    path.write_bytes(whole[:at] + junk + whole[at + len(junk) :])
    try:
        head = read_gguf(path)
    except EngineError:
        return
    assert head.path == path


def test_announced_monsters_are_refused(tmp_path: Path) -> None:
    """A head that announces absurd counts or strings is refused before memory is spent."""
    head = b"GGUF" + struct.pack("<I", 3)
    for body in (struct.pack("<QQ", 1 << 60, 0), struct.pack("<QQQ", 0, 1, 1 << 60)):
        path = tmp_path / "monster.gguf"
        path.write_bytes(head + body)
        with pytest.raises(EngineError, match="not a sound GGUF file"):
            read_gguf(path)
