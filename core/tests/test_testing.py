"""The kit itself: its checks catch what they are there to catch, and its fakes do as they are told."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import distribution
from pathlib import Path

import anyio
import pytest
from swarmgate.api import (
    LLAMA_RPC,
    Backend,
    Balancer,
    Candidate,
    Delta,
    Demand,
    Endpoint,
    EngineError,
    Ledger,
    MemoryLedger,
    ModelCard,
    Offer,
    Pick,
    Share,
    SplitPlan,
    Splitter,
    Unreachable,
    Way,
    Worker,
)
from swarmgate.builtin import FirstFree
from swarmgate.testing import (
    BackendContract,
    BalancerContract,
    FakeClock,
    FakeTransport,
    LedgerContract,
    ScriptedBackend,
    SplitterContract,
    a_candidate,
    a_card,
    a_request,
    an_offer,
)


class Inventor:
    def pick(self, demand: Demand, candidates: Sequence[Candidate]) -> Pick:
        return Pick(candidate=a_candidate("nobody"))

    def observe(self, candidate: Candidate, *, seconds: float, failed: bool) -> None: ...


class Greedy:
    def plan(self, model: ModelCard, here: int, workers: Sequence[Worker]) -> SplitPlan:
        return SplitPlan(shares=tuple(Share(worker=worker, fraction=0.9) for worker in workers))


class Forgetful(MemoryLedger):
    async def withdraw(self, offer: Offer) -> None:
        self._offers.pop(offer.key, None)


def test_a_pick_that_was_not_offered_is_caught() -> None:
    """A balancer that invents candidates fails its contract."""

    class Subject(BalancerContract):
        def make(self) -> Balancer:
            return Inventor()

    with pytest.raises(AssertionError):
        Subject().test_picks_one_of_those_given(Inventor(), 2)
    with pytest.raises(AssertionError):
        Subject().test_any_figures_will_do()


def test_a_balancer_that_loves_black_holes_is_caught() -> None:
    """First free is not failure-aware, and the contract says so unless told."""

    class Subject(BalancerContract):
        def make(self) -> Balancer:
            return FirstFree()

    with pytest.raises(AssertionError):
        Subject().test_a_black_hole_does_not_look_idle(FirstFree())


def test_a_splitter_that_gives_too_much_is_caught() -> None:
    """Shares that do not sum to one, or do not fit, fail the contract."""

    class Subject(SplitterContract):
        def make(self) -> Splitter:
            return Greedy()

    for check in (
        Subject().test_shares_sum_to_one,
        Subject().test_nobody_gets_more_than_fits,
        Subject().test_what_fits_nowhere_is_refused_with_numbers,
    ):
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            check()


@pytest.mark.anyio
async def test_a_ledger_without_tombstones_is_caught() -> None:
    """A late copy that brings a withdrawn offer back fails the contract."""

    class Subject(LedgerContract):
        @asynccontextmanager
        async def make(self) -> AsyncGenerator[Ledger]:
            yield Forgetful()

    await Subject().test_withdrawn_is_gone()
    with pytest.raises(AssertionError):
        await Subject().test_a_tombstone_holds_against_older_posts()


@pytest.mark.parametrize(
    "script",
    [
        (Delta(text="a", finish="stop"),),
        ("a", Delta(finish="stop")),
    ],
)
@pytest.mark.anyio
async def test_an_answer_without_usage_is_caught(script: tuple[Delta | str, ...]) -> None:
    """A last piece that does not count fails the contract."""

    class Subject(BackendContract):
        @asynccontextmanager
        async def make(self) -> AsyncGenerator[Backend]:
            yield ScriptedBackend(script)

    with pytest.raises(AssertionError, match="usage"):
        await Subject().test_an_answer_ends_with_one_finish_and_usage()


@pytest.mark.anyio
async def test_a_backend_that_begins_again_is_caught() -> None:
    """One that ignores what is already out fails the check of resuming."""

    class Subject(BackendContract):
        @asynccontextmanager
        async def make(self) -> AsyncGenerator[Backend]:
            yield ScriptedBackend(("one ", "two ", "three"))

    with pytest.raises(AssertionError, match="cut after 1"):
        await Subject().test_a_greedy_answer_goes_on_exactly()


@pytest.mark.anyio
async def test_a_script_is_played_and_its_errors_raised() -> None:
    """Strings are pieces, exceptions are raised in their place, and what happened is noted."""
    backend = ScriptedBackend(("a", EngineError("gone")))
    async with backend.generate(a_request()) as deltas:
        assert (await anext(deltas)).text == "a"
        assert backend.running == 1
        with pytest.raises(EngineError, match="gone"):
            await anext(deltas)
    assert (backend.running, backend.ended, len(backend.requests)) == (0, 1, 1)


@pytest.mark.anyio
async def test_a_script_finishes_by_itself() -> None:
    """A script without a finish ends in one, and one with its own is not given a second."""
    for script in (("a", "b"), ("a", Delta(text="b", finish="length"), "never")):
        async with ScriptedBackend(script).generate(a_request()) as deltas:
            pieces = [piece async for piece in deltas]
        assert "".join(piece.text for piece in pieces) == "ab"
        assert [piece.finish for piece in pieces].count(None) == len(pieces) - 1


@pytest.mark.anyio
async def test_a_script_can_be_held() -> None:
    """A backend with a pause waits for it before each step."""
    gate = anyio.Event()
    backend = ScriptedBackend(pause=gate)
    heard: list[str] = []
    async with backend.generate(a_request()) as deltas, anyio.create_task_group() as tasks:

        async def listen() -> None:
            heard.extend([piece.text async for piece in deltas])

        tasks.start_soon(listen)
        await anyio.wait_all_tasks_blocked()
        assert heard == []
        gate.set()
    assert "".join(heard) == "hello there"


@pytest.mark.anyio
async def test_a_fake_clock_moves_when_told() -> None:
    """Offers lapse by the fake clock, without any waiting."""
    clock = FakeClock()
    ledger = MemoryLedger(clock=clock)
    await ledger.post(an_offer(lifetime=60.0))
    clock.advance(59.9)
    assert len(ledger.offers(LLAMA_RPC)) == 1
    clock.advance(0.2)
    assert ledger.offers(LLAMA_RPC) == ()


@pytest.mark.anyio
async def test_a_fake_transport_knows_what_is_held() -> None:
    """Paths are listed while they are open, and forgetting an address makes it unreachable."""
    transport = FakeTransport({"fake://a": Endpoint("127.0.0.1", 1)})
    async with transport.reach("fake://a") as endpoint:
        assert endpoint.port == 1
        assert transport.held == ["fake://a"]
        assert transport.ways() == (Way(address="fake://a"),)
        transport.told["fake://a"] = Way(address="fake://a", kind="relayed", rtt_seconds=0.2)
        assert [way.kind for way in transport.ways()] == ["relayed"]
    assert transport.held == []
    assert transport.ways() == ()
    transport.known.clear()
    with pytest.raises(Unreachable, match="nobody is known at fake://a"):
        async with transport.reach("fake://a"):
            pass


def test_makers_fill_in_the_rest() -> None:
    """What a test does not care about has a sensible value."""
    assert a_card("x").name == "x"
    assert a_request("hi", model="x").model == "x"
    assert an_offer("w", sequence=3).key == an_offer("w").key


def test_its_asserts_explain_themselves(tmp_path: Path) -> None:
    """The kit's files are rewritten by pytest, so a failing check shows the values."""
    script = """
import sys, pytest
code = '''
from swarmgate.testing import BalancerContract
class Wrong:
    def pick(self, demand, candidates): return "somebody"
    def observe(self, candidate, *, seconds, failed): ...
class TestWrong(BalancerContract):
    def make(self): return Wrong()
'''
path = sys.argv[1] + "/test_wrong.py"
open(path, "w").write(code)
sys.exit(pytest.main([path, "-q", "-p", "no:cacheprovider", "-k", "picks_one", "--rootdir", sys.argv[1]]))
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50, cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "assert 'somebody' in [Candidate" in done.stdout


def test_nothing_is_imported_into_everybodys_pytest() -> None:
    """The core ships no pytest11 entry point: the kit is imported by those who ask for it."""
    assert [point for point in distribution("swarmgate-core").entry_points if point.group == "pytest11"] == []
