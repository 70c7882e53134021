from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from swarmgate.config.blueprint import draw
from swarmgate.config.faults import Fault, FaultyConfig, Place
from swarmgate.config.layers import Layer, Sources, gather, parse, read_keys, search_path
from swarmgate.errors import ConfigError
from swarmgate.parts import SLOTS
from swarmgate.plugins import Catalogue


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_files_are_the_folders_own_and_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """XDG_CONFIG_HOME is honoured; without it the user's file is below ~/.config."""
    assert search_path({"XDG_CONFIG_HOME": "/x"}) == (Path("gateway.toml"), Path("/x/swarmgate/gateway.toml"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", "/h")
    assert search_path({})[1] == Path("/h/.config/swarmgate/gateway.toml")


def test_both_files_are_read_the_nearer_first(here: Path) -> None:
    """A file that is not there is not missed."""
    user = here / "swarmgate"
    user.mkdir()
    user.joinpath("gateway.toml").write_text("b = 1")
    environ = {"XDG_CONFIG_HOME": str(here)}
    assert [layer.data for layer in gather({}, environ).files] == [{"b": 1}]
    here.joinpath("gateway.toml").write_text("a = 1")
    assert [layer.data for layer in gather({}, environ).files] == [{"a": 1}, {"b": 1}]
    here.joinpath("other.toml").write_text("c = 1")
    assert [layer.data for layer in gather({}, environ, config="other.toml").files] == [{"c": 1}]


def fault_of(config: str) -> str:
    (fault,) = gather({}, {}, config=config).faults
    return str(fault)


def test_a_file_that_cannot_be_read_is_a_fault(here: Path) -> None:
    """Missing, a folder, not UTF-8, not TOML: each has its message."""
    here.joinpath("latin.toml").write_bytes(b"a = 1\nb = '\xe9'\n")
    here.joinpath("broken.toml").write_text("a = 1\nb =\n")
    assert fault_of("none.toml") == "none.toml: there is no such file; `gateway config init` writes one"
    assert fault_of(str(here)) == f"{here}: this is a folder, not a file"
    assert fault_of("latin.toml") == "latin.toml: line 2 is not UTF-8; save the file as UTF-8"
    assert fault_of("broken.toml") == "broken.toml:2: this is not TOML: invalid value"
    assert fault_of("nul\0.toml").startswith("nul\0.toml: it cannot be read: ")
    assert fault_of("broken.toml/x").startswith("broken.toml/x: it cannot be read: Not a directory")


def test_a_file_that_may_not_be_read_is_a_fault(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says so; being root, who may read everything, the test has to pretend."""
    here.joinpath("secret.toml").write_text("")
    here.joinpath("secret.toml").chmod(0)
    if os.geteuid() == 0:

        def refuse(path: Path) -> bytes:
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(Path, "read_bytes", refuse)
    assert fault_of("secret.toml") == "secret.toml: this user may not read it; check its permissions"


def test_a_byte_order_mark_does_no_harm(here: Path) -> None:
    """Some editors put one in front."""
    here.joinpath("gateway.toml").write_bytes(b"\xef\xbb\xbf[gateway]\n")
    assert gather({}, {"XDG_CONFIG_HOME": "/none"}).files[0].data == {"gateway": {}}


def test_keys_are_one_to_a_line(here: Path) -> None:
    """Empty lines, comments and surrounding white space do not count."""
    here.joinpath("keys").write_text("# mine\nabc\n\n  d#f  \n")
    assert read_keys("keys") == ("abc", "d#f")
    here.joinpath("keys").write_text("# none\n\n")
    with pytest.raises(ConfigError, match=r"^there is no key in it; write one to a line$"):
        read_keys("keys")
    with pytest.raises(ConfigError, match=r"^there is no such file$"):
        read_keys("nothing")


def test_paths_in_a_file_are_relative_to_it(here: Path, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path means the file's folder, ~ the home; in a variable it is left to the working directory."""
    monkeypatch.setenv("HOME", "/h")
    folder = here / "conf"
    folder.mkdir()
    file = folder / "gateway.toml"
    file.write_text(
        '[[discovery]]\nuse = "static"\nfiles = ["a", "/b", "~/c"]\n[[backend]]\nuse = "llamacpp"\nmodel = "m.gguf"\n'
    )
    blueprint = draw(gather({}, {}, config=str(file)), catalogue)
    options: list[Any] = [choice.options for choice in blueprint.choices]
    assert options[1].files == (str(folder / "a"), "/b", "/h/c")
    assert options[3].model == str(folder / "m.gguf")
    blueprint = draw(gather({}, {"MODEL_FILE": "m.gguf"}, config=str(file)), catalogue)
    options = [choice.options for choice in blueprint.choices]
    assert options[3].model == "m.gguf"


NAMES = """
    gateway use model listen api_keys api_key_file seed workers files token engines other-name
    memory static least_loaded llamacpp echo weights low high mode a.b $ é
"""
WORDS = st.sampled_from(["", *NAMES.split(), *(slot.name for slot in SLOTS)])
VALUES = st.recursive(
    st.one_of(WORDS, st.integers(), st.booleans(), st.floats(), st.dates(), st.text(max_size=5), st.just(10**400)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
VARIABLES = "GATEWAY_LISTEN GATEWAY_MODEL GATEWAY_BALANCER GATEWAY_API_KEYS WORKERS MODEL_SIZE"
ENVIRON = st.dictionaries(st.sampled_from(VARIABLES.split()), st.text(max_size=6))


@given(st.lists(st.dictionaries(WORDS, VALUES, max_size=6), max_size=2), ENVIRON, st.dictionaries(WORDS, st.text()))
@example([{"backend": {"use": "llamacpp", "model": "x", "context_size": 10**400}}], {}, {})
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # the catalogue is not changed
def test_whatever_a_document_says_only_config_errors_come_of_it(
    catalogue: Catalogue, tables: list[dict[str, Any]], environ: dict[str, str], flags: dict[str, str]
) -> None:
    """No shape of a document, no variable and no flag makes the reader raise anything else."""
    files = tuple(Layer(Place(f"{rank}.toml", rank, {}), data) for rank, data in enumerate(tables))
    flags.pop("model", None)
    try:
        blueprint = draw(Sources(flags, environ, files), catalogue, read=lambda _: ("key",))
    except FaultyConfig as error:
        lines = [str(fault) for fault in error.faults]
    else:
        lines = [choice.part.name for choice in blueprint.choices]
    assert all(lines)


SIGNS = st.sampled_from("[]{}=\"'#.,\n\\ axu1-_:+\t\r\x00")


@given(st.text(max_size=60) | st.lists(SIGNS, max_size=40).map("".join))
def test_whatever_a_text_is_it_is_read_or_a_fault(text: str) -> None:
    """What tomllib takes is a layer, the rest one fault."""
    try:
        expected = tomllib.loads(text)
    except ValueError:
        assert isinstance(parse(text, "x.toml"), Fault)
        return
    layer = parse(text, "x.toml")
    assert isinstance(layer, Layer)
    assert layer.data == expected
