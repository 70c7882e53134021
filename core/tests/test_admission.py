from __future__ import annotations

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.admission import Admission, Asker, Line, Ticket
from swarmgate.errors import QueueFull, Starting, Unavailable, UnknownModel

#: Where slots are passed on by whoever leaves, nobody need look by themselves; and anyio's wait for all to be blocked
#: looks every tenth of a second, so that a poll that divides it may be met at work every time.
_NEVER = 1000.0


def never() -> None:
    """Know no better reason."""


def test_whoever_comes_first_goes_first() -> None:
    """Nobody enters before their turn, however much room there is."""
    line, (a, b) = Line(limit=9), (Ticket("m"), Ticket("m"))
    line.arrive(a, 0)
    line.arrive(b, 0)
    assert line.leader("m") is a
    assert not line.may_enter(b, 5)
    assert not line.may_enter(a, 0)
    assert line.may_enter(a, 1)
    line.enter(a)
    assert not line.may_enter(b, 1)
    assert line.may_enter(b, 2)
    line.leave(a)
    assert line.may_enter(b, 1)


def test_a_full_line_turns_away_whoever_cannot_go_straight_in() -> None:
    """A limit of none still lets in whoever finds a free slot."""
    line = Line(limit=0)
    first = Ticket("m")
    line.arrive(first, 1)
    line.enter(first)
    with pytest.raises(QueueFull, match="0 requests for 'm' wait already"):
        line.arrive(Ticket("m"), 1)
    line.arrive(Ticket("n"), 1)


def test_the_advice_when_to_come_back_follows_how_long_answers_take() -> None:
    """Twelve seconds an answer, two slots, three waiting: two rounds; and never beyond its bounds."""
    line = Line(limit=9)
    assert line.retry_after("m", 1) == 2
    done = Ticket("m")
    line.arrive(done, 1)
    line.enter(done)
    line.leave(done, seconds=12)
    for _ in range(3):
        line.arrive(Ticket("m"), 0)
    assert line.retry_after("m", 2) == 24
    assert line.retry_after("m", 0) == 48
    assert line.retry_after("m", 1000) == 1
    slow = Ticket("m")
    line.arrive(slow, 0)
    line.enter(slow)
    line.leave(slow, seconds=1e9)
    assert line.retry_after("m", 1) == 300


def test_those_who_ask_take_turns_and_the_urgent_go_first_among_their_own() -> None:
    """A flood of one asker leaves every other turn to another, whatever priority it claims."""
    line = Line(limit=9)
    flood = [Ticket("m", Asker("flood"), priority=number, tokens=64) for number in range(3)]
    other = Ticket("m", Asker("other"), tokens=64)
    for ticket in (*flood, other):
        line.arrive(ticket, 0)
    went = list[Ticket]()
    while (leader := line.leader("m")) is not None:
        line.enter(leader)
        went.append(leader)
    assert went == [flood[2], other, flood[1], flood[0]]


@pytest.mark.anyio
async def test_nobody_waits_longer_than_they_said() -> None:
    """A client that gives up in a tenth of a second is told so then, though the queue would last longer."""
    admission = Admission(queue_seconds=30)
    with anyio.fail_after(5), pytest.raises(Unavailable, match=r"no slot for 'm' became free in 0\.1 s"):
        async with admission.admit(Ticket("m", Asker(seconds=0.1)), lambda: 0, why=never):
            pass


@given(
    st.lists(st.tuples(st.sampled_from("ael"), st.integers(0, 4)), max_size=60), st.integers(0, 3), st.integers(0, 4)
)
def test_the_line_counts_right_whatever_happens(moves: list[tuple[str, int]], limit: int, capacity: int) -> None:
    """Never more inside than fit, never more waiting than may, first come first in, nobody forgotten."""
    line, waiting, inside = Line(limit=limit), list[Ticket](), list[Ticket]()
    for move, which in moves:
        if move == "a":
            ticket = Ticket("m")
            try:
                line.arrive(ticket, capacity)
            except QueueFull:
                assert len(waiting) >= limit
            else:
                waiting.append(ticket)
                assert len(waiting) <= max(limit, 1)
        elif move == "e":
            able = [ticket for ticket in waiting if line.may_enter(ticket, capacity)]
            assert able == (waiting[:1] if len(inside) < capacity else [])
            for ticket in able:
                line.enter(ticket)
                waiting.remove(ticket)
                inside.append(ticket)
        elif everyone := waiting + inside:
            ticket = everyone[which % len(everyone)]
            line.leave(ticket)
            (inside if ticket in inside else waiting).remove(ticket)
        assert (line.waiting("m"), line.inside("m")) == (len(waiting), len(inside))
        assert len(inside) <= capacity


async def hold(admission: Admission, capacity: int, until: anyio.Event, entered: list[str], name: str) -> None:
    async with admission.admit(Ticket("m"), lambda: capacity, why=never):
        entered.append(name)
        await until.wait()


@pytest.mark.anyio
async def test_slots_pass_on_in_the_order_of_arrival() -> None:
    """As each leaves, the next goes in; at the end nobody is left."""
    admission, entered = Admission(poll_seconds=_NEVER), list[str]()
    ends = {name: anyio.Event() for name in "abcd"}
    async with anyio.create_task_group() as tasks:
        for name, end in ends.items():
            tasks.start_soon(hold, admission, 2, end, entered, name)
            await anyio.wait_all_tasks_blocked()
        assert entered == ["a", "b"]
        assert (admission.running("m"), admission.waiting("m")) == (2, 2)
        ends["b"].set()
        await anyio.wait_all_tasks_blocked()
        assert entered == ["a", "b", "c"]
        ends["a"].set()
        ends["c"].set()
        ends["d"].set()
    assert entered == ["a", "b", "c", "d"]
    assert (admission.running("m"), admission.waiting("m")) == (0, 0)


@pytest.mark.anyio
async def test_cancelled_waiters_leave_no_trace() -> None:
    """Whoever gives up, first in line or last, holds nobody else up."""
    admission, entered, end = Admission(poll_seconds=_NEVER), list[str](), anyio.Event()
    scopes = {name: anyio.CancelScope() for name in "abcd"}

    async def waiter(name: str) -> None:
        with scopes[name]:
            await hold(admission, 1, end, entered, name)

    async with anyio.create_task_group() as tasks:
        for name in scopes:
            tasks.start_soon(waiter, name)
            await anyio.wait_all_tasks_blocked()
        scopes["b"].cancel()
        scopes["d"].cancel()
        await anyio.wait_all_tasks_blocked()
        assert admission.waiting("m") == 1
        scopes["a"].cancel()
        await anyio.wait_all_tasks_blocked()
        assert entered == ["a", "c"]
        end.set()
    assert (admission.running("m"), admission.waiting("m")) == (0, 0)
    assert repr(admission) == "<Admission 0 waiting>"


@pytest.mark.anyio
async def test_one_who_gives_up_just_as_the_slot_is_free_passes_it_on() -> None:
    """A bell rung for one who is cancelled in the same moment is rung again for the next."""
    admission, entered, first, rest = Admission(poll_seconds=60), list[str](), anyio.Event(), anyio.Event()
    scope = anyio.CancelScope()

    async def fickle() -> None:
        with scope:
            await hold(admission, 1, rest, entered, "b")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hold, admission, 1, first, entered, "a")
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(fickle)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(hold, admission, 1, rest, entered, "c")
        await anyio.wait_all_tasks_blocked()
        first.set()
        scope.cancel()
        with anyio.fail_after(5):
            await anyio.wait_all_tasks_blocked()
        rest.set()
    assert entered[0] == "a"
    assert entered[-1] == "c"


@pytest.mark.anyio
async def test_waiting_ends_in_time() -> None:
    """Whoever waited too long is told so, or the better reason if one is known."""
    admission = Admission(queue_seconds=0.05)
    with pytest.raises(Unavailable, match=r"no slot for 'm' became free in 0\.05 s") as caught:
        async with admission.admit(Ticket("m"), lambda: 0, why=never):
            pass
    assert caught.value.retry_after >= 1
    with pytest.raises(Starting, match="loading"):
        async with admission.admit(Ticket("m"), lambda: 0, why=lambda: Starting("loading")):
            pass
    assert admission.waiting("m") == 0


@pytest.mark.anyio
async def test_room_that_appears_without_a_word_is_found() -> None:
    """The first in line looks again from time to time, and lets the others know."""
    admission, entered, end, room = Admission(poll_seconds=0.01), list[str](), anyio.Event(), 0
    full = anyio.Event()

    async def waiter(name: str) -> None:
        async with admission.admit(Ticket("m"), lambda: room, why=never):
            entered.append(name)
            if len(entered) == room:
                full.set()
            await end.wait()

    async with anyio.create_task_group() as tasks:
        for name in "abc":
            tasks.start_soon(waiter, name)
        await anyio.wait_all_tasks_blocked()
        room = 3
        with anyio.fail_after(5):
            await full.wait()
        end.set()


@pytest.mark.anyio
async def test_what_capacity_raises_ends_the_waiting() -> None:
    """A model that vanishes while somebody waits for it is told at once."""

    def gone() -> int:
        raise UnknownModel("gone")

    admission = Admission()
    with pytest.raises(UnknownModel):
        async with admission.admit(Ticket("m"), gone, why=never):
            pass
    answers = iter([0, 0])
    with pytest.raises(UnknownModel):
        async with admission.admit(Ticket("m"), lambda: gone() if next(answers, None) is None else 0, why=never):
            pass
    assert admission.waiting("m") == 0


def test_those_who_wait_have_a_place() -> None:
    """By when they came; who is inside, or nowhere, has none."""
    line = Line(limit=9)
    first, second, third = Ticket("m"), Ticket("m"), Ticket("m")
    assert line.place(first) == 0
    for ticket in (first, second, third):
        line.arrive(ticket, 1)
    line.enter(first)
    assert [line.place(ticket) for ticket in (first, second, third)] == [0, 1, 2]
    line.leave(second)
    assert [line.place(ticket) for ticket in (second, third)] == [0, 1]
