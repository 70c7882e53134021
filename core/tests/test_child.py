from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from structlog.testing import capture_logs
from swarmgate.child import Child, Pauses
from swarmgate.errors import Starting
from swarmgate.frames import Frame

pytestmark = pytest.mark.anyio

TALKER = [sys.executable, str(Path(__file__).parent / "programs" / "talker.py")]
QUICK = Pauses(first=0.02, longest=0.1, healthy=60)


class Do(Frame, frozen=True):
    what: str
    data: bytes = b""


class Said(Frame, frozen=True):
    data: bytes
    pid: int


@dataclass
class Owner:
    """Writes down what the child does, and waits for it."""

    first: Sequence[Frame] = ()
    said: list[bytes] = field(default_factory=list[bytes])
    pids: list[int] = field(default_factory=list[int])
    deaths: list[str] = field(default_factory=list[str])
    news: anyio.Event = field(default_factory=anyio.Event)

    def started(self) -> Sequence[Frame]:
        return self.first

    def received(self, frame: Any) -> None:
        self.said.append(frame.data)
        self.pids.append(frame.pid)
        self.stir()

    def died(self, reason: str) -> None:
        self.deaths.append(reason)
        self.stir()

    def stir(self) -> None:
        self.news.set()
        self.news = anyio.Event()

    async def until(self, fact: Callable[[], object], seconds: float = 20) -> None:
        with anyio.fail_after(seconds):
            while not fact():
                await self.news.wait()


def a_child(owner: Owner, command: Sequence[str] = TALKER, **options: Any) -> Child[Said]:
    return Child("talker", command, Said, owner, pauses=options.pop("pauses", QUICK), **options)


def alive(pid: int) -> bool:
    """Return whether a process runs, and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def children() -> set[int]:
    return {int(pid) for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


async def tell(child: Child[Said], *frames: Frame) -> None:
    """Tell as soon as there is a process to tell."""
    with anyio.fail_after(20):
        while True:
            try:
                return await child.tell(*frames)
            except Starting:
                await anyio.sleep(0.01)


async def test_frames_go_both_ways_in_order_and_the_first_come_first() -> None:
    """What a fresh child is told first comes before anything else, and everything in order."""
    owner = Owner(first=[Do("echo", b"first"), Do("echo", b"second")])
    async with a_child(owner) as child:
        await tell(child, *(Do("echo", str(number).encode()) for number in range(100)))
        await child.tell(Do("echo", b"last"))
        await owner.until(lambda: b"last" in owner.said)
        pid = child.pid
        assert repr(child) == f"<Child talker pid {pid}, started 1 times>"
    assert owner.said == [b"first", b"second", *(str(number).encode() for number in range(100)), b"last"]
    assert owner.deaths == []
    assert pid is not None
    assert not alive(pid)
    assert repr(child) == "<Child talker not running, started 1 times>"


async def test_an_abort_in_the_middle_names_the_signal_and_a_new_child_follows() -> None:
    """What it said before counts, its last words are logged, and the next child works."""
    owner = Owner()
    with capture_logs() as logs:
        async with a_child(owner) as child:
            await tell(child, Do("abort"))
            await owner.until(lambda: owner.deaths)
            await tell(child, Do("echo", b"again"))
            await owner.until(lambda: b"again" in owner.said)
            assert child.starts == 2
    assert owner.said == [b"half an ans", b"again"]
    assert owner.deaths == ["was killed by SIGABRT"]
    (death,) = [log for log in logs if log["event"] == "child.died"]
    assert death["part"] == "talker"
    assert death["last_words"] == ["GGML_ASSERT: lost the peer", "no end of line"]


async def test_a_child_killed_from_outside_is_replaced() -> None:
    """The out-of-memory killer's way."""
    owner = Owner()
    async with a_child(owner) as child:
        await tell(child, Do("echo", b"one"))
        await owner.until(lambda: owner.said)
        os.kill(owner.pids[0], signal.SIGKILL)
        await owner.until(lambda: owner.deaths)
        await tell(child, Do("echo", b"two"))
        await owner.until(lambda: len(owner.said) == 2)
    assert owner.deaths == ["was killed by SIGKILL"]
    assert owner.pids[0] != owner.pids[1]


async def test_the_owner_may_kill_it() -> None:
    """A child that must go is killed and replaced."""
    owner = Owner()
    async with a_child(owner) as child:
        child.kill()
        await tell(child, Do("rest"))
        await owner.until(lambda: owner.said)
        child.kill()
        await owner.until(lambda: owner.deaths)
    assert owner.deaths == ["was killed by SIGKILL"]


async def test_prints_of_native_code_do_not_get_among_the_frames() -> None:
    """A child that follows the rule may print what it likes."""
    owner = Owner()
    async with a_child(owner) as child:
        await tell(child, Do("print", b"llama_model_loader: loaded"), Do("echo", b"fine"))
        await owner.until(lambda: owner.said)
        assert "llama_model_loader: loaded" in child.last_words
    assert owner.deaths == []


@pytest.mark.parametrize(
    ("garbage", "reason"),
    [
        (b"hello world", "a frame announces 1751477356 bytes, expected no more than 67108864"),
        (b"\0\0\0\3abc", "a frame of 3 bytes cannot be read"),
    ],
)
async def test_a_child_that_says_garbage_is_killed_and_replaced(garbage: bytes, reason: str) -> None:
    """Its stream cannot be trusted any more; the reason says what was wrong."""
    owner = Owner()
    async with a_child(owner) as child:
        await tell(child, Do("write", garbage), Do("rest"))
        await owner.until(lambda: owner.deaths)
        await tell(child, Do("echo", b"fine"))
        await owner.until(lambda: b"fine" in owner.said)
    assert owner.deaths[0].startswith(f"was killed for what it said: {reason}")


async def test_pauses_double_and_are_forgotten_after_a_healthy_while() -> None:
    """A child that dies at once is started ever more slowly; one that lived has a clean slate."""
    owner, pauses = Owner(), Pauses(first=0.01, longest=0.05, healthy=2)
    flag = "import os, sys, time; time.sleep(2.1 if os.path.exists(sys.argv[1]) else 0); sys.exit(3)"
    with capture_logs() as logs:
        async with a_child(owner, [sys.executable, "-S", "-E", "-c", flag, "/nowhere"], pauses=pauses):
            await owner.until(lambda: len(owner.deaths) == 5)
        async with a_child(owner, [sys.executable, "-S", "-E", "-c", flag, "/"], pauses=pauses):
            await owner.until(lambda: len(owner.deaths) == 7)
    assert owner.deaths == ["exited with status 3"] * 7
    seconds = [log["seconds"] for log in logs if log["event"] == "child.died"]
    assert seconds == [0.01, 0.02, 0.04, 0.05, 0.05, 0.01, 0.01]


async def test_a_child_that_ignores_the_end_of_its_input_is_killed() -> None:
    """Leaving takes no longer than stop_seconds, and nothing is left running."""
    owner = Owner()
    async with a_child(owner, stop_seconds=0.3) as child:
        await tell(child, Do("rest"))
        await owner.until(lambda: owner.said)
        began = anyio.current_time()
    assert anyio.current_time() - began < 5
    assert not alive(owner.pids[0])


async def test_a_child_that_closes_its_output_and_stays_is_killed() -> None:
    """Nobody waits for ever for one that has nothing more to say."""
    owner = Owner()
    async with a_child(owner, stop_seconds=0.2) as child:
        await tell(child, Do("close"))
        await owner.until(lambda: owner.deaths)
    assert owner.deaths == ["was killed because it closed its output and did not end"]


async def test_huge_frames_go_both_ways() -> None:
    """Sixteen megabytes are no trouble."""
    owner, data = Owner(), os.urandom(1 << 20) * 16
    async with a_child(owner) as child:
        await tell(child, Do("echo", data))
        await owner.until(lambda: owner.said, seconds=40)
    assert owner.said == [data]


async def test_a_child_that_does_not_read_holds_nobody_up() -> None:
    """Telling it more than the pipe takes returns at once, and so does leaving."""
    owner = Owner()
    async with a_child(owner, stop_seconds=0.3) as child:
        await tell(child, Do("rest"))
        await owner.until(lambda: owner.said)
        with anyio.fail_after(2):
            for _ in range(20):
                await child.tell(Do("echo", bytes(1 << 20)))
        began = anyio.current_time()
    assert anyio.current_time() - began < 5
    assert not alive(owner.pids[0])


async def test_what_a_killed_child_leaves_behind_does_not_hide_its_death() -> None:
    """A helper that still holds the output open goes as well."""
    owner = Owner()
    async with a_child(owner) as child:
        await tell(child, Do("spawn"))
        await owner.until(lambda: owner.said)
        helper = int(owner.said[0])
        assert alive(helper)
        os.kill(owner.pids[0], signal.SIGKILL)
        await owner.until(lambda: owner.deaths)
        for _ in range(500):
            if not alive(helper):
                break
            await anyio.sleep(0.01)
        assert not alive(helper)
    assert owner.deaths == ["was killed by SIGKILL"]


async def test_a_command_that_does_not_exist_is_named() -> None:
    """The reason comes from the system; telling meanwhile says that it is being restarted."""
    owner = Owner()
    async with a_child(owner, ["/no/such/program"]) as child:
        await owner.until(lambda: len(owner.deaths) == 2)
        with pytest.raises(Starting, match="talker is being restarted"):
            await child.tell(Do("echo"))
    assert owner.deaths[0].startswith("could not be started: [Errno 2] No such file or directory")
    assert child.starts == 0


async def test_leaving_at_any_moment_leaves_nothing_behind() -> None:
    """Whether it is about to start, starting or dying: no process and no descriptor remains."""

    async def live(seconds: float) -> None:
        async with a_child(Owner()) as child:
            if seconds:
                await anyio.sleep(seconds)
                child.kill()

    await live(0.1)
    gc.collect()
    before, descriptors = children(), len(list(Path("/proc/self/fd").iterdir()))
    for pause in (0, 0.001, 0.005, 0.02, 0.05, 0.2):
        await live(pause)
        with anyio.move_on_after(pause):
            async with a_child(Owner()):
                await anyio.sleep_forever()
    gc.collect()
    assert children() == before
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


async def test_the_environment_is_added_to() -> None:
    """What the gateway was given reaches the child, and what the owner adds."""
    show = "import os, sys; sys.stderr.write(os.environ['PATH'][:1] + os.environ['GREETING'])"
    owner = Owner()
    async with a_child(owner, [sys.executable, "-c", show], environ={"GREETING": "hello"}) as child:
        await owner.until(lambda: owner.deaths)
        assert list(child.last_words) == [os.environ["PATH"][:1] + "hello"]


async def test_an_owner_that_fails_ends_the_block_with_its_own_error() -> None:
    """A fault in what is told about frames is not swallowed, nor wrapped."""

    class Failing(Owner):
        def received(self, frame: Any) -> None:
            raise KeyError("mine")

    async def run() -> None:
        async with a_child(Failing()) as child:
            await tell(child, Do("echo"))
            await anyio.sleep_forever()

    with pytest.raises(KeyError, match="mine"), anyio.fail_after(20):
        await run()
