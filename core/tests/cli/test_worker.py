from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from swarmgate.swarm.kept import keep_pass
from swarmgate.swarm.membership import invite
from swarmgate.swarm.token import Token

Gateway = Callable[..., subprocess.CompletedProcess[str]]

SHED = """
from contextlib import asynccontextmanager
from typing import Annotated
from msgspec import Meta
from swarmgate.api import EngineError, Endpoint, Loan, Options, Part, hookimpl

class ShedOptions(Options, frozen=True):
    #: What is in it.
    tool_kind: str = "spade"
    #: How many.
    count: Annotated[int, Meta(ge=1)] = 2
    #: Whether it is locked.
    locked: bool = True

class Shed:
    def __init__(self, options, context):
        self.options, self.context = options, context

    @asynccontextmanager
    async def lend(self):
        if self.options.count > 9:
            raise EngineError("the shed is too small")
        labels = {"tool": self.options.tool_kind, "count": str(self.options.count), "locked": str(self.options.locked)}
        yield Loan(endpoint=Endpoint("127.0.0.1", 7), labels={**labels, "node": self.context.node.name,
            "role": self.context.membership.role if self.context.membership else ""})
        (self.context.state_dir / "closed").touch()

@asynccontextmanager
async def open_shed(options, context):
    yield Shed(options, context)

@hookimpl
def swarmgate_worker():
    return [Part("garden_shed", "Lends tools.", ShedOptions, open_shed)]
"""


@pytest.fixture
def site(outsider: Callable[..., Path]) -> Path:
    """Where a stranger's lender is installed."""
    return outsider("acme-shed", SHED)


def lent(
    home: Path, environ: dict[str, str], site: Path, *arguments: str, command: str = "worker", **variables: str
) -> dict[str, str]:
    """Run a worker until it has said in JSON what it lends, stop it, and return the labels."""
    words = [sys.executable, "-m", "swarmgate", command, *arguments, "--json", "--state-dir", "state"]
    given = {**environ, "PYTHONPATH": str(site), **variables}
    with subprocess.Popen(words, cwd=home, env=given, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            told = msgspec.json.decode(process.stdout.readline())
            assert (told["part"], told["address"], told["pid"]) == ("garden_shed", "127.0.0.1:7", process.pid)
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()
    assert (home / "state" / "worker" / "closed").exists()
    return told["labels"]


def test_a_stranger_s_lender_is_a_verb(home: Path, environ: dict[str, str], site: Path) -> None:
    """Its options are flags, dashes in names are underscores, and SIGTERM closes it in order."""
    said = lent(
        home, environ, site, "garden-shed", "--tool-kind", "rake", "--count", "3", "--no-locked", "--name", "n1"
    )
    assert said == {"tool": "rake", "count": "3", "locked": "False", "node": "n1", "role": ""}


def test_flags_come_before_variables_before_the_file(home: Path, environ: dict[str, str], site: Path) -> None:
    """The table [worker] counts where nothing nearer speaks; underscores are understood too."""
    text = '[gateway]\nname = "n2"\n[worker]\nuse = "garden_shed"\ntool_kind = "hoe"\ncount = 4\nlocked = false\n'
    home.joinpath("gateway.toml").write_text(text)
    said = lent(
        home, environ, site, "garden_shed", "--count", "6", GATEWAY_WORKER_COUNT="5", GATEWAY_WORKER_LOCKED="true"
    )
    assert said == {"tool": "hoe", "count": "6", "locked": "True", "node": "n2", "role": ""}


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["garden-shed", "--count", "0"], 2, "error: --count: expected a whole number >= 1, found '0'"),
        (["garden-shed", "--count", "10"], 1, "error: the shed is too small"),
        (["garden-shed", "-c", "none.toml"], 2, "error: none.toml: there is no such file"),
        (["gardenshed"], 2, "error: no lender is called 'gardenshed'; installed: garden-shed"),
    ],
)
def test_what_cannot_be_is_one_line(
    gateway: Gateway, site: Path, arguments: list[str], status: int, message: str
) -> None:
    """A fault of the call ends it with status 2, a lender that would not start with 1."""
    done = gateway("worker", *arguments, path=site)
    assert done.returncode == status
    assert done.stderr.splitlines()[-1].startswith(message)
    assert "Traceback" not in done.stderr


def test_a_fault_in_the_file_has_its_line(gateway: Gateway, home: Path, site: Path) -> None:
    """What is wrong with the table is found like everything else in the file."""
    home.joinpath("gateway.toml").write_text('[worker]\nuse = "garden_shed"\ncount = "many"\n')
    done = gateway("worker", "garden-shed", path=site)
    assert done.returncode == 2
    assert "gateway.toml:3" in done.stderr


def test_help_shows_every_option(gateway: Gateway, site: Path) -> None:
    """Each with its help and default; the list of lenders has their summaries."""
    text = gateway("worker", "garden-shed", "--help", path=site).stdout
    for line in ("--tool-kind TEXT", "What is in it.", "[default: spade]", "--count N", "--locked / --no-locked"):
        assert line in text
    assert "Lends tools." in gateway("worker", "--help", path=site).stdout


@pytest.mark.parametrize("way", ["variable", "file", "name", "localai"])
def test_a_worker_joins_by_a_token_or_an_invite(home: Path, environ: dict[str, str], site: Path, way: str) -> None:
    """By LocalAI's variable, from a file, by what is kept here (p2p- before the name), or all in LocalAI's words."""
    token = Token.make()
    ticket = invite(token, "worker", days=1, key=bytes(32), now=time.time()).text
    if way == "variable":
        said = lent(home, environ, site, "p2p-garden-shed", TOKEN=ticket)
    elif way == "file":
        home.joinpath("t").write_text(ticket)
        said = lent(home, environ, site, "garden-shed", "--token-file", "t", TOKEN="not looked at")
    elif way == "localai":
        said = lent(home, environ, site, "p2p-garden-shed", "--token", ticket, command="p2p-worker")
    else:
        keep_pass(home / "state", token)
        said = lent(home, environ, site, "p2p_garden_shed")
    assert said["role"] == ("owner" if way == "name" else "worker")


def test_a_worker_makes_no_swarm_of_its_own(gateway: Gateway, site: Path, home: Path) -> None:
    """Without a token it says how to get one, and a mistyped one is refused, both with status 2."""
    done = gateway("worker", "p2p-garden-shed", "--state-dir", "s", path=site)
    assert done.returncode == 2
    assert "this machine has no token of a swarm yet; give it one with --token-file" in done.stderr
    done = gateway("worker", "garden-shed", "--state-dir", "s", path=site, TOKEN=Token.make().text[:-1])
    assert done.returncode == 2
    assert "error: TOKEN: the token is mistyped or was cut" in done.stderr
    assert not (home / "s" / "swarm.token").exists()
