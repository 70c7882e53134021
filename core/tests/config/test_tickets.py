from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from swarmgate.config.blueprint import Blueprint
from swarmgate.config.manual import as_toml, facts
from swarmgate.swarm.token import Token

Draw = Callable[..., Blueprint]
Faults = Callable[..., list[str]]
MODEL = '[[backend]]\nuse = "llamacpp"\nmodel = "/m.gguf"\n'
TOKENS = [Token.make().text for _ in range(6)]


def test_no_token_is_no_swarm(drawn: Draw) -> None:
    """Nobody joins one unasked."""
    settings = drawn(MODEL).settings
    assert (settings.p2p, settings.token) == (False, None)


def test_the_nearest_token_counts_and_means_yes(drawn: Draw, tmp_path: Path) -> None:
    """Flags, our variables, LocalAI's from the most telling to the least, then files; each says where it came from."""
    (tmp_path / "t").write_text(f"# ours\n{TOKENS[0]}\n")
    flags = {"token_file": str(tmp_path / "t")}
    environ = {"GATEWAY_TOKEN": TOKENS[1], "LOCALAI_P2P_TOKEN": TOKENS[2], "P2P_TOKEN": TOKENS[3], "TOKEN": TOKENS[4]}
    file = f'[gateway]\ntoken = "{TOKENS[5]}"\n'
    places = ["--token-file", *environ, "near.toml:5"]
    for text, place in zip(TOKENS, places, strict=True):
        blueprint = drawn(MODEL + file, flags=flags, environ=environ)
        assert (blueprint.settings.token, blueprint.settings.p2p) == (text, True)
        assert (blueprint.origins["token"], blueprint.origins["p2p"]) == (place, place)
        flags, environ = ({}, environ) if flags else ({}, dict(list(environ.items())[1:]))
    assert drawn(MODEL, flags={"token": TOKENS[0]}, environ={"TOKEN": TOKENS[1]}).settings.token == TOKENS[0]


def test_a_token_file_in_a_nearer_file_outweighs_a_token_farther_off(drawn: Draw, tmp_path: Path) -> None:
    """The two options are one decision, not merged key by key."""
    (tmp_path / "t").write_text(TOKENS[0])
    far = f'[gateway]\ntoken = "{TOKENS[1]}"\n'
    assert drawn(f'{MODEL}[gateway]\ntoken_file = "{tmp_path}/t"\n', far).settings.token == TOKENS[0]


def test_a_word_against_outweighs_all_but_flags(drawn: Draw, faults: Faults) -> None:
    """Variables are often meant for others; what they say is not even judged then."""
    against = MODEL + "[gateway]\np2p = false\n"
    for environ in ({"TOKEN": "ghp_somebody_elses"}, {"GATEWAY_TOKEN": TOKENS[0]}):
        settings = drawn(against, environ=environ).settings
        assert (settings.p2p, settings.token) == (False, None)
    assert drawn(against, flags={"token": TOKENS[0]}).settings.p2p
    (line,) = faults(MODEL, environ={"TOKEN": "ghp_somebody_elses"})
    assert line.startswith("TOKEN: this is no token of ours")
    assert line.endswith("if it is meant for others, set p2p = false")


def test_a_mistyped_token_is_a_fault_that_does_not_quote_it(faults: Faults, tmp_path: Path) -> None:
    """Its place and the remedy are told, whichever way it came."""
    wrong = TOKENS[0][:-1] + ("2" if TOKENS[0][-1] != "2" else "3")
    (tmp_path / "t").write_text(wrong)
    file = str(tmp_path / "t")
    told = [
        *faults(MODEL, flags={"token": wrong}),
        *faults(MODEL, flags={"token_file": file}),
        *faults(f'{MODEL}[gateway]\ntoken = "{wrong}"\n'),
        *faults(MODEL, environ={"P2P_TOKEN": wrong}),
    ]
    reason = "the token is mistyped or was cut (its checksum is wrong): paste it whole, or have"
    for line, place in zip(
        told, ("--p2ptoken", f"--token-file: token_file {file!r}", "near.toml:5", "P2P_TOKEN"), strict=True
    ):
        assert line.startswith(f"{place}: {reason}")
        assert wrong not in line
        assert wrong[4:20] not in line


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "there is no such file"),
        ("# nothing\n", "there is no token in it"),
        (f"{TOKENS[0]}\n{TOKENS[1]}\n", "there are other lines in it, too; leave the one with the token"),
    ],
)
def test_a_token_file_without_its_one_line_is_a_fault(
    faults: Faults, tmp_path: Path, content: str | None, what: str
) -> None:
    """The file is named, what is in it is not."""
    if content is not None:
        (tmp_path / "t").write_text(content)
    assert faults(MODEL, flags={"token_file": str(tmp_path / "t")}) == [
        f"--token-file: token_file {str(tmp_path / 't')!r}: {what}"
    ]


def test_the_token_is_never_shown(drawn: Draw) -> None:
    """Not by `config show`, not in a representation, not when it is of the wrong kind."""
    blueprint = drawn(MODEL, flags={"token": TOKENS[0]})
    for shown in (as_toml(facts(blueprint)), repr(blueprint), str(blueprint.settings), repr(facts(blueprint))):
        assert TOKENS[0] not in shown
        assert TOKENS[0][4:20] not in shown
    assert 'token = "***"' in as_toml(facts(blueprint))


def test_a_token_of_the_wrong_kind_is_told_of_by_kind(faults: Faults) -> None:
    """A list in the file says that text was expected."""
    assert faults(MODEL + f'[gateway]\ntoken = ["{TOKENS[0]}"]\n') == [
        "near.toml:5: token: expected text in quotes, found a list"
    ]
