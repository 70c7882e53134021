from __future__ import annotations

import filecmp
import json
import shutil
import subprocess
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import outsiders
import pytest
from live_gateway import LiveGateway, live_gateway
from swarmgate.swarm.token import Token

pytestmark = [pytest.mark.clients, pytest.mark.journey, pytest.mark.timeout(300)]

SCRIPT = Path(__file__).parent / "scripts" / "swarm_page.py"
PARROT = {"use": "echo", "model": "parrot", "delay_seconds": 0.1}


class Looking:
    """A browser that looks at the page: what it says after each step, and a word to go on."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def said(self) -> dict[str, Any]:
        """Return what comes of the next step."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        line = self._process.stdout.readline()
        assert line, self._process.stderr.read()[-3000:]
        return json.loads(line)

    def go(self) -> None:
        """Let it go on."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()


Look = Callable[..., AbstractContextManager[Looking]]


@pytest.fixture(scope="session")
def look(python_with: Callable[[str], Path], outside: dict[str, str]) -> Look:
    """Give what opens a Chromium for a scenario of the script."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    python = python_with("page")

    @contextmanager
    def looking(scenario: str, gateway: LiveGateway, *arguments: str) -> Generator[Looking]:
        command = [python, SCRIPT, chromium, scenario, f"{gateway.url}/", *arguments]
        pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        with subprocess.Popen(command, text=True, env=outside, **pipes) as process:
            try:
                yield Looking(process)
            finally:
                process.terminate()

    return looking


@pytest.fixture(scope="module")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    """A gateway that has begun a swarm."""
    settings: dict[str, Any] = {"name": "desk", "p2p": True, "federated": True}
    with live_gateway(tmp_path_factory.mktemp("swarm"), [PARROT], ready_seconds=200, **settings) as running:
        yield running


def test_a_node_that_joins_shows_up_and_one_that_dies_says_why(look: Look, swarm: LiveGateway, tmp_path: Path) -> None:
    """While the page is open, and without touching it: with the token it comes, is killed, and comes back."""
    token = str(swarm.log.parent / "swarm.token")
    shed: dict[str, Any] = {"name": "shed", "p2p": True, "federated": True, "token_file": token, "ready_seconds": 200}
    with look("company", swarm, "shed") as it:
        assert it.said() == {"known": 0, "alone": 1}
        with live_gateway(tmp_path, [{**PARROT, "model": "cockatoo"}], **shed) as node:
            it.go()
            joined = it.said()
            assert "cockatoo" in joined["card"]
            assert "shed" in joined["drawn"]
            node.process.kill()
            it.go()
            dead = it.said()["card"]
            assert "not connected" in dead or "gone" in dead
        with live_gateway(tmp_path, [PARROT], **shed):
            it.go()
            assert it.said()["loaded"] == 1


def test_the_page_acts(look: Look, swarm: LiveGateway) -> None:
    """The token is shown only when asked for, and copied; chats stream and stop; nodes drain, and models unload."""
    with look("acts", swarm) as it:
        token = it.said()
        assert token["copied"].startswith("sgt_")
        assert (token["before"], token["after"]) == (False, False)
        chat = it.said()
        assert chat["begun"] != chat["whole"] == "one two three four five six seven eight"
        assert "answered by desk (echo)" in chat["by"]
        assert 0 < it.said()["stopped"] < 2000
        assert it.said()["drained"]
        states = {node["name"]: node["state"] for node in swarm.get("/v1/swarm")["nodes"]}
        assert states["echo"] == "draining"
        it.go()
        assert it.said()["done"]


def test_a_conversation_is_read_and_steered(look: Look, swarm: LiveGateway) -> None:
    """Markdown is shown as such and HTML as text; a refused question stays to be read, and is not sent again.

    Whoever has scrolled up is left there, and who goes by keyboard finds the focus where the next thing is done.
    """
    with look("talk", swarm) as it:
        read = it.said()
        assert (read["code"], read["copies"]) == ("if a * b * c:\n    pass", 1)
        assert (read["items"], read["alien"]) == (["one is 1", "<b>two</b>"], 0)
        assert read["strong"] == ["Two", "one"]
        steered = it.said()
        assert "context" in steered["refused"]
        assert (steered["shown"], steered["again"]) == (3, ["# Tw", "# Tw", "line"])
        assert (steered["scrolled"], steered["focus"]) == (0, "TEXTAREA")
        assert it.said() == {"shown": "token", "hidden": "Show the token"}


def test_what_stands_in_the_way_of_joining_is_said(look: Look, tmp_path: Path) -> None:
    """A gateway in no swarm has no token to show, one that is not federated would not see the node that joins."""
    with live_gateway(tmp_path, [PARROT]) as alone, look("outside", alone) as it:
        said = it.said()
        assert "gateway run --p2p --federated" in said["told"]
        assert said["token"] == 0
    token = tmp_path / "swarm.token"
    token.write_text(Token(bytes(32)).text)
    token.chmod(0o600)
    settings: dict[str, Any] = {"p2p": True, "token_file": str(token), "ready_seconds": 200}
    with live_gateway(tmp_path / "member", [PARROT], **settings) as lender, look("outside", lender) as it:
        said = it.said()
        assert "started without --federated" in said["told"]
        assert said["token"] == 1


def test_a_key_is_asked_for(look: Look, locked_gateway: LiveGateway) -> None:
    """A wrong one is refused in words; the right one is kept for the tab alone, and never in the address."""
    with look("locked", locked_gateway, "open sesame") as it:
        said = it.said()
    assert said["complaint"] == "the API key is not one of this gateway's"
    assert said["kept"] == [1, 0, ""]
    assert (said["url"], said["left"]) == (f"{locked_gateway.url}/", 0)


def test_axe_finds_nothing_and_nothing_is_fetched_elsewhere(look: Look, swarm: LiveGateway, tmp_path: Path) -> None:
    """In light and dark, at a desk and on a phone: no fault of accessibility, no scrolling sideways, no other host.

    The browser complains of nothing, so the content security policy holds; Tab leads past the navigation first.
    """
    axe = outsiders.node_with(outsiders.ROOT / "page")[1] / "node_modules" / "axe-core" / "axe.min.js"
    with look("looks", swarm, str(axe), str(tmp_path)) as it:
        looks = [it.said() for _ in range(4)]
    assert {name: value for each in looks for name, value in [(each["look"], each["faults"])] if value} == {}
    for each in looks:
        assert (each["hosts"], each["complaints"], each["wider"]) == ([swarm.url.split("/")[2]], [], 0), each["look"]
        assert each["first"] == "Skip to the content"
    assert len(list(tmp_path.glob("*.png"))) == 4


def test_the_committed_build_is_the_build_of_the_sources(tmp_path: Path) -> None:
    """Types are sound, and `make page` changes nothing: nobody needs node to use the page."""
    sources, built = outsiders.ROOT / "page", outsiders.ROOT / "core" / "src" / "swarmgate" / "http" / "page"
    node, home = outsiders.node_with(sources)
    work = tmp_path / "page"
    shutil.copytree(sources, work, ignore=shutil.ignore_patterns("node_modules"))
    (work / "node_modules").symlink_to(home / "node_modules")
    for command in (["node_modules/typescript/bin/tsc"], ["build.mjs", str(tmp_path / "out")]):
        done = subprocess.run([node, *command], cwd=work, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    names = sorted(path.name for path in built.iterdir())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    assert filecmp.cmpfiles(built, tmp_path / "out", names, shallow=False)[0] == names
