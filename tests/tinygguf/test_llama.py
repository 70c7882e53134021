from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from tinygguf import Shape, write_llama, write_scripted

MEGABYTE = 1 << 20
HELLO = [{"role": "user", "content": "hello"}]


def greedy(model: Any, prompt: bytes, count: int) -> list[int]:
    written: list[int] = []
    for token in model.generate(model.tokenize(prompt, False, True), temp=0.0):
        written.append(token)
        if len(written) == count:
            break
    return written


def test_the_file_is_small_and_the_same_for_the_same_seed(tmp_path: Path) -> None:
    """One seed, one file, below a megabyte; another seed, another file."""
    first, again = write_llama(tmp_path / "a.gguf", seed=3), write_llama(tmp_path / "b.gguf", seed=3)
    assert first.stat().st_size < MEGABYTE
    assert first.read_bytes() == again.read_bytes()
    assert first.read_bytes() != write_llama(tmp_path / "c.gguf", seed=4).read_bytes()


@pytest.mark.parametrize("script", [["a", "a"], ["", "b"], ["\n"], ["end", "<|im_end|>"]])
def test_a_script_that_cannot_be_recited_is_refused(tmp_path: Path, script: list[str]) -> None:
    """The reciting model knows only the token before, so no piece may stand twice."""
    with pytest.raises(ValueError, match="each piece of a script must be there once"):
        write_scripted(tmp_path / "scripted.gguf", script)


@pytest.mark.engine
@pytest.mark.parametrize("seed", [1, 2])
def test_greedy_text_wanders(tmp_path: Path, llama_class: Any, seed: int) -> None:
    """The text is long, does not settle into a loop, and hangs on the prompt."""
    began = time.perf_counter()
    model = llama_class(str(write_llama(tmp_path / "tiny.gguf", seed=seed)), n_ctx=2048, n_threads=1, verbose=False)
    assert time.perf_counter() - began < 5
    written = greedy(model, b"Hello", 200)
    assert len(set(written)) > 60
    assert model.token_eos() not in written
    assert model.detokenize(written).isascii()
    assert written != greedy(model, b"Hollo", 200)


@pytest.mark.engine
def test_the_tokenizer_keeps_every_byte(tmp_path: Path, llama_class: Any) -> None:
    """llama.cpp cuts any text into this vocabulary and gets it back; markers are single tokens."""
    model = llama_class(str(write_llama(tmp_path / "tiny.gguf")), n_ctx=64, n_threads=1, verbose=False)
    text = "The gateway's naïve 東京 🤖\n\tend".encode()
    ids = model.tokenize(text, False, False)
    assert model.detokenize(ids) == text
    assert len(ids) < len(text)
    assert model.tokenize(b"<|im_start|><|im_end|>", False, True) == [1, 2]
    assert model.token_eos() == 2


@pytest.mark.engine
def test_raw_bytes_give_half_characters(tmp_path: Path, llama_class: Any) -> None:
    """With raw bytes the text holds bytes that are no character by themselves."""
    path = write_llama(tmp_path / "tiny.gguf", raw_bytes=True, ends=True, half=True)
    model = llama_class(str(path), n_ctx=512, n_threads=1, verbose=False)
    data = model.detokenize(greedy(model, b"Hello", 100))
    assert "\N{REPLACEMENT CHARACTER}" in data.decode(errors="replace")


@pytest.mark.engine
def test_the_shape_is_what_was_asked(tmp_path: Path, llama_class: Any) -> None:
    """Layers, width, context and name reach the file."""
    shape = Shape(layers=3, width=32, heads=2, kv_heads=1, feed_forward=64, context=256)
    path = write_llama(tmp_path / "tiny.gguf", shape=shape, name="odd one")
    model = llama_class(str(path), n_ctx=0, n_threads=1, verbose=False)
    assert (model.n_embd(), model.n_ctx()) == (32, 256)
    assert model.metadata["general.name"] == "odd one"
    assert model.metadata["llama.block_count"] == "3"


@pytest.mark.engine
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_script_is_recited(tmp_path: Path, llama_class: Any, temperature: float) -> None:
    """The reciting model says its piece, sampled or not, and ends by itself."""
    call = ["<tool_call>", '\n{"name": "get_weather", ', '"arguments": {"city": "Paris"}}', "\n</tool_call>"]
    model = llama_class(str(write_scripted(tmp_path / "s.gguf", call)), n_ctx=512, n_threads=1, verbose=False)
    for messages in (HELLO, [{"role": "system", "content": "Be kind."}, *HELLO]):
        choice = model.create_chat_completion(messages, temperature=temperature, max_tokens=20)["choices"][0]
        assert choice["message"]["content"] == "".join(call)
        assert choice["finish_reason"] == "stop"
