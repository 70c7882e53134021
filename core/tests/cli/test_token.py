from __future__ import annotations

import json
import stat
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from swarmgate.swarm.kept import kept_pass
from swarmgate.swarm.token import Token, read_pass

Gateway = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def _configured(home: Path) -> None:  # pyright: ignore[reportUnusedFunction]  # a fixture
    """Have the state folder beside the configuration, and nobody listening."""
    home.joinpath("gateway.toml").write_text('[gateway]\nlisten = "127.0.0.1:0"\nstate_dir = "state"\n')


def test_a_token_is_made_once_and_shown_alone(gateway: Gateway, home: Path) -> None:
    """What is printed can be piped; making another one is asked for by name."""
    done = gateway("token", "new")
    assert done.returncode == 0
    assert "a new token is kept in " in done.stdout
    assert "sgt_" not in done.stdout + done.stderr
    file = home / "state" / "swarm.token"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    shown = gateway("token", "show")
    assert (shown.stdout, shown.stderr) == (file.read_text(), "")
    first = kept_pass(home / "state")
    again = gateway("token", "new")
    assert (again.returncode, again.stdout) == (2, "")
    assert "is there already" in again.stderr
    assert kept_pass(home / "state") == first
    assert gateway("token", "new", "--force").returncode == 0
    assert kept_pass(home / "state") != first


def test_the_token_given_is_the_one_in_use(gateway: Gateway, home: Path) -> None:
    """A variable's goes before the one kept; what is wrong with other parts of the configuration does not matter."""
    with home.joinpath("gateway.toml").open("a") as file:
        file.write('[[transport]]\nuse = "nonsense"\n')
    given = Token.make().text
    assert gateway("token", "show", P2P_TOKEN=given).stdout == f"{given}\n"
    done = gateway("token", "new", P2P_TOKEN=given)
    assert "note: what counts is the token given by P2P_TOKEN" in done.stderr
    assert gateway("token", "show", GATEWAY_P2P="false", TOKEN="ghp_x").stdout.startswith("sgt_")
    done = gateway("token", "rotate", P2P_TOKEN=given)
    assert done.returncode == 2
    assert "was given by P2P_TOKEN, and is not kept here; change it there" in done.stderr


def test_without_a_token_it_says_how_to_get_one(gateway: Gateway) -> None:
    """The status is that of a wrong configuration; a mistyped one is named and not quoted."""
    for verb in ("show", "read", "invite", "rotate"):
        done = gateway("token", verb)
        assert done.returncode == 2
        assert "has no token of a swarm yet; give it one with --token-file FILE" in done.stderr
    wrong = Token.make().text[:-3]
    done = gateway("token", "show", TOKEN=wrong)
    assert done.returncode == 2
    assert done.stderr.startswith("error: TOKEN: the token is mistyped or was cut")
    assert wrong not in done.stderr


def test_rotating_begins_anew(gateway: Gateway, home: Path) -> None:
    """Where others are found first stays in it; what the old one's owner signed is gone; what follows is told."""
    member = "/ip4/203.0.113.7/tcp/4001/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"
    assert gateway("token", "new", "--bootstrap", member).returncode == 0
    old = kept_pass(home / "state")
    assert gateway("token", "invite", "--name", "shed").returncode == 0
    assert gateway("token", "revoke", "shed").returncode == 0
    done = gateway("token", "rotate")
    assert done.returncode == 0
    assert "every other machine has to be given the new token" in done.stdout
    new = kept_pass(home / "state")
    assert new is not None
    assert new != old
    assert new.bootstrap == (member,)
    assert {file.name for file in (home / "state").iterdir()} == {"swarm.token", "node.key"}


def test_an_address_that_is_none_is_refused(gateway: Gateway) -> None:
    """Before it is in a token on twenty machines."""
    for wrong in ("10.0.0.5:4001", "/ip4/10.0.0.5/tcp/4001", "/ip4/10.0.0.5/tcp/4001/p2p/12D3KooWx"):
        done = gateway("token", "new", "--bootstrap", wrong)
        assert done.returncode == 2
        assert f"{wrong!r} is no address of a member; expected something like /ip4/" in done.stderr


def test_reading_tells_all_but_the_secret(gateway: Gateway, home: Path) -> None:
    """Of the token in use, of a file, and of standard input."""
    gateway("token", "new")
    done = gateway("token", "read")
    assert done.stdout.startswith("the token of the swarm 12D3KooW")
    ticket = gateway("token", "invite", "--role", "viewer", "--days", "2").stdout
    (home / "guest").write_text(ticket)
    told = gateway("token", "read", "guest").stdout
    assert told.startswith("an invite into the swarm 12D3KooW")
    assert " as a viewer, until 2" in told
    facts = json.loads(gateway("token", "read", "guest", "--json").stdout)
    assert (facts["kind"], facts["role"], facts["peer"] in told) == ("invite", "viewer", True)
    assert facts["swarm"] == json.loads(gateway("token", "read", "--json").stdout)["swarm"]
    text = read_pass(ticket).text
    assert text[4:20] not in told + json.dumps(facts)
    (home / "bad").write_bytes(b"\xff\xfe\xfd")
    for file, reason in (
        ("none", "none cannot be read"),
        ("bad", "holds no text"),
        ("gateway.toml", "no token of ours"),
    ):
        done = gateway("token", "read", file)
        assert (done.returncode, reason in done.stderr) == (2, True), done.stderr


def test_an_invited_machine_has_nothing_to_give_away(gateway: Gateway, home: Path) -> None:
    """It may keep its invite in the token's place, and show it; it lets nobody in, and takes nobody out."""
    gateway("token", "new", "--state-dir", "owner")
    ticket = gateway("token", "invite", "--state-dir", "owner", "--role", "node").stdout
    (home / "state").mkdir()
    (home / "state" / "swarm.token").write_text(ticket)
    assert gateway("token", "show").stdout == ticket
    for words in (["invite"], ["rotate"], ["revoke", "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"]):
        done = gateway("token", *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert "this machine is in its swarm by an invite and cannot" in done.stderr


def test_what_others_gave_is_kept(gateway: Gateway, home: Path, environ: dict[str, str]) -> None:
    """From a file or standard input, for its owner alone; another swarm's takes its place only if that is asked for."""
    first, other = Token.make(), Token.make()
    (home / "given").write_text(f"{first.text}\n")
    done = gateway("token", "keep", "given")
    file = home / "state" / "swarm.token"
    assert done.stdout.startswith(f"kept in {file.relative_to(home)}: the token of the swarm 12D3KooW")
    assert first.text not in done.stdout + done.stderr
    assert (stat.S_IMODE(file.stat().st_mode), kept_pass(home / "state")) == (0o600, first)
    assert gateway("token", "invite", "--name", "shed").returncode == 0
    assert gateway("token", "revoke", "shed").returncode == 0
    before = {each.name for each in (home / "state").iterdir()}
    assert gateway("token", "keep", "given").returncode == 0
    assert {each.name for each in (home / "state").iterdir()} == before
    command = [sys.executable, "-m", "swarmgate", "token", "keep"]
    piped = partial(subprocess.run, cwd=home, env=environ, input=other.text, capture_output=True, text=True)
    refused = piped(command, check=False)
    assert (refused.returncode, "holds another one: with --force" in refused.stderr) == (2, True)
    assert kept_pass(home / "state") == first
    assert piped([*command, "--force"], check=False).returncode == 0
    assert kept_pass(home / "state") == other
    assert {each.name for each in (home / "state").iterdir()} == {"swarm.token", "node.key"}


def test_what_is_no_token_is_not_kept(gateway: Gateway, home: Path) -> None:
    """It is refused before anything is written, and what was kept can be replaced even if it is damaged."""
    (home / "given").write_text(Token.make().text[:-3])
    done = gateway("token", "keep", "given")
    assert (done.returncode, "mistyped or was cut" in done.stderr) == (2, True)
    assert not (home / "state").exists()
    (home / "state").mkdir()
    (home / "state" / "swarm.token").write_text("sgt_damaged")
    (home / "given").write_text(Token.make().text)
    assert gateway("token", "keep", "given").returncode == 2
    done = gateway("token", "keep", "given", "--force", P2P_TOKEN=Token.make().text)
    assert (done.returncode, "what counts is the token given by P2P_TOKEN" in done.stderr) == (0, True)
