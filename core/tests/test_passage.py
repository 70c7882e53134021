from __future__ import annotations

import anyio
import pytest
from swarmgate.errors import LoopDetected, RequestError
from swarmgate.nouns import NodeId
from swarmgate.passage import HOPS_HEADER, PATH_HEADER, Passage, current_passage, read_passage, travelling

A, B, C = (NodeId(name) for name in "abc")


def test_each_gateway_adds_itself() -> None:
    """What one sends the next reads, and the way grows by one."""
    headers = Passage(1, (A,)).onward(B)
    assert headers == {"X-Gateway-Hops": "2", "X-Gateway-Path": "a,b"}
    assert read_passage(headers[HOPS_HEADER], headers[PATH_HEADER]) == Passage(2, (A, B))


def test_an_ordinary_clients_request_came_by_nobody() -> None:
    """Without headers there is no way, and the request was not relayed."""
    assert read_passage("", "") == Passage()
    assert not Passage().relayed
    assert read_passage("", "a").relayed


def test_the_larger_count_holds() -> None:
    """A proxy that loses one header does not shorten the way."""
    assert read_passage("3", "") == Passage(3)
    assert read_passage("1", "a, b").hops == 2


@pytest.mark.parametrize(
    ("hops", "path"), [("x", ""), ("-1", ""), ("99999", ""), ("", "a b"), ("", ","), ("", "a," * 99)]
)
def test_what_no_gateway_sends_is_refused(hops: str, path: str) -> None:
    """The message names the header."""
    with pytest.raises(RequestError, match=r"x-gateway-(hops|path): expected"):
        read_passage(hops, path)


def test_circles_are_seen() -> None:
    """A gateway refuses what has come through it, and what has come through too many; the message says how."""
    Passage(4, (A, B)).check(C, 4)
    with pytest.raises(LoopDetected, match=r"has come through this gateway \(b\) before, by a -> b"):
        Passage(2, (A, B)).check(B, 4)
    with pytest.raises(LoopDetected, match="through 5 gateways, and max_hops allows 4"):
        Passage(5).check(C, 4)


@pytest.mark.anyio
async def test_tasks_know_the_passage_of_what_they_work_for() -> None:
    """It is seen in the block and in tasks begun there, and by nobody beside them."""
    seen: list[int] = []

    async def look() -> None:
        seen.append(current_passage().hops)

    async with anyio.create_task_group() as tasks:
        with travelling(Passage(2)):
            tasks.start_soon(look)
        tasks.start_soon(look)
    assert sorted(seen) == [0, 2]
    assert current_passage() == Passage()
