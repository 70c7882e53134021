from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.testing
from libp2p_streams import a_pair
from swarmgate.api import Unreachable
from swarmgate_transport_libp2p.child import wires

pytestmark = [pytest.mark.swarm, pytest.mark.usefixtures("imported")]


def run(test: Callable[..., Awaitable[Any]], *, jumps: bool = False) -> None:
    """Run *test* with a nursery; with *jumps* time passes as soon as all tasks wait."""

    async def main() -> None:
        async with trio.open_nursery() as tasks:
            await test(tasks)
            tasks.cancel_scope.cancel()

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0) if jumps else None)


def test_what_is_written_is_read_to_the_end() -> None:
    """Exact reads join pieces, and the end of a stream is empty."""

    async def test(tasks: trio.Nursery) -> None:
        one, other = a_pair()

        async def write() -> None:
            await wires.write_all(one, b"abc")
            await wires.write_all(one, b"def")

        tasks.start_soon(write)
        assert await wires.read_exactly(other, 6) == b"abcdef"
        await wires.end(one)
        assert await wires.read_some(other, 10) == b""

    run(test)


def test_an_end_in_the_middle_is_a_loss() -> None:
    """Who announced more than came is not taken at half its word."""

    async def test(_tasks: trio.Nursery) -> None:
        one, other = a_pair()
        await wires.write_all(one, b"abc")
        await wires.end(one)
        with pytest.raises(wires.StreamLost, match="after 3 of 6 bytes"):
            await wires.read_exactly(other, 6)

    run(test)


@pytest.mark.parametrize("shows_resets", [True, False])
def test_a_reset_is_a_loss_even_if_it_looks_like_an_end(shows_resets: bool) -> None:
    """The library's yamux says the end where the other side had broken off."""

    async def test(_tasks: trio.Nursery) -> None:
        one, other = a_pair(shows_resets=shows_resets)
        await wires.reset(one)
        with pytest.raises(wires.StreamLost):
            await wires.read_some(other, 10)

    run(test)


def test_an_end_with_the_connection_is_a_loss() -> None:
    """When the connection is gone, nobody has said that this was all."""

    async def test(_tasks: trio.Nursery) -> None:
        one, other = a_pair()
        await wires.end(one)
        other.muxed_conn.is_closed = True
        with pytest.raises(wires.StreamLost):
            await wires.read_some(other, 10)

    run(test)


def test_who_takes_too_long_is_reset() -> None:
    """Nothing is cancelled: the stream breaks, and what waited for it sees that."""

    async def test(tasks: trio.Nursery) -> None:
        one, _other = a_pair()
        with pytest.raises(wires.StreamLost):
            async with wires.or_reset(tasks, one, 5.0):
                await wires.read_some(one, 10)
        assert (one.resets, trio.current_time() > 4) == (1, True)

    run(test, jumps=True)


def test_who_is_in_time_is_left_alone() -> None:
    """After the block the watch is over."""

    async def test(tasks: trio.Nursery) -> None:
        one, other = a_pair()
        async with wires.or_reset(tasks, one, 5.0):
            await wires.write_all(one, b"abc")
        await trio.sleep(10)
        assert await wires.read_some(other, 10) == b"abc"
        assert one.resets == 0

    run(test, jumps=True)


def test_waiting_ends_and_the_work_goes_on() -> None:
    """What comes too late is handed to who tidies up, and was not cancelled."""

    async def test(tasks: trio.Nursery) -> None:
        late: list[str] = []

        async def work() -> str:
            await trio.sleep(7.0)
            return "a stream"

        async def tidy(what: str) -> None:
            late.append(what)

        with pytest.raises(Unreachable, match="no answer within 5 s"):
            await wires.within(tasks, 5.0, work, late=tidy)
        await trio.sleep(3.0)
        assert late == ["a stream"]

    run(test, jumps=True)


def test_a_failure_says_what_it_comes_from() -> None:
    """The library's errors wrap each other; all that is said is kept, on one line."""

    async def test(tasks: trio.Nursery) -> None:
        async def work() -> None:
            raise RuntimeError("fail to open") from OSError("refused\nand more")

        with pytest.raises(Unreachable) as caught:
            await wires.within(tasks, 5.0, work)
        assert str(caught.value) == "fail to open: refused"

    run(test)


def test_what_is_in_time_is_returned() -> None:
    """And nobody tidies it up."""

    async def test(tasks: trio.Nursery) -> None:
        async def work() -> int:
            return 7

        async def tidy(_what: int) -> None:
            pytest.fail("it was in time")

        assert await wires.within(tasks, 5.0, work, late=tidy) == 7

    run(test)
