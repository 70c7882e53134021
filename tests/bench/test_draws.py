from __future__ import annotations

from itertools import pairwise
from random import Random
from statistics import fmean

import pytest
from virtual.draws import (
    Chats,
    Client,
    Crowd,
    Lengths,
    Shared,
    Strangers,
    Tenants,
    capacity,
    poisson,
    repeated,
    text,
)
from virtual.nodes import CHARACTERS, Machine
from virtual.workloads import EVEN

SHORT = Lengths(200, 64)


def prompts(clients: list[Client]) -> list[str]:
    return [asked.prompt for client in clients for asked in client.requests]


def test_capacity_is_of_those_who_answer() -> None:
    """The narrower of reading and writing bounds each machine; one that fails adds nothing."""
    machine = Machine("a", prefill=100.0, decode=10.0, slots=1)
    assert capacity([machine], 100, 1) == 1.0
    assert capacity([machine, Machine("x", fails=True)], 1, 100) == pytest.approx(0.1)


def test_bursts_are_denser() -> None:
    """In the first ten of every sixty seconds so many times as many come."""
    times = list(poisson(Random(1), 1.0, 2000, burst=5.0))
    inside = sum(at % 60.0 < 10.0 for at in times)
    assert 0.4 < inside / len(times) < 0.6


def test_texts_have_their_length() -> None:
    """In tokens of four characters, and begin like no other."""
    dice = Random(1)
    assert len(text(dice, 33)) == 33 * CHARACTERS
    assert text(dice, 4)[:8] != text(dice, 4)[:8]
    assert repeated("ab", 1) == "abab"


def test_lengths_are_log_normal_within_bounds() -> None:
    """Without sigma all are the median; with it they vary, and none is empty or longer than allowed."""
    dice = Random(1)
    assert Lengths(300, 64).draw(dice) == (300, 64)
    drawn = [Lengths(300, 64, sigma=1.2).draw(dice) for _ in range(2000)]
    assert sorted(prompt for prompt, _ in drawn)[1000] == pytest.approx(300, rel=0.1)
    assert fmean(prompt for prompt, _ in drawn) == pytest.approx(300 * 2.05, rel=0.15)  # exp(sigma^2 / 2) times as much
    assert max(prompt for prompt, _ in drawn) <= 6000
    assert max(answer for _, answer in drawn) <= 1000
    assert min(min(lengths) for lengths in drawn) >= 1


@pytest.mark.parametrize("load", [0.3, 1.2])
def test_an_open_loop_asks_for_its_load(load: float) -> None:
    """So many requests come in the time in which machines at full use could do so many."""
    clients = Strangers(SHORT).clients(Random(1), EVEN, 3000, load)
    seconds = max(client.requests[0].pause for client in clients)
    assert 3000 / seconds == pytest.approx(load * SHORT.capacity(EVEN), rel=0.05)
    assert {len(client.requests) for client in clients} == {1}


def test_a_crowd_is_so_many_clients_who_think() -> None:
    """Each has its own key and as many requests as the others, and thinks as long as was said, on average."""
    clients = Crowd(20, SHORT, think=5.0).clients(Random(1), EVEN, 1000, 0.7)
    assert {len(client.requests) for client in clients} == {50}
    assert len({client.asker for client in clients}) == 20
    assert fmean(asked.pause for client in clients for asked in client.requests) == pytest.approx(5.0, rel=0.1)
    assert {len(client.requests) for client in Crowd(20, SHORT, 5.0).clients(Random(1), EVEN, 20, 0.7)} == {8}


def test_shared_beginnings_are_shared_by_popularity() -> None:
    """No more than 12 beginnings come, the first about twice as often as the second, and no two prompts are equal."""
    drawn = prompts(Shared(beginnings=12, beginning=100, rest=10, answer=1).clients(Random(1), EVEN, 3000, 0.7))
    counts = sorted((sum(prompt[:400] == head for prompt in drawn) for head in {p[:400] for p in drawn}), reverse=True)
    assert len(counts) == 12
    assert counts[0] / counts[1] == pytest.approx(2.0, rel=0.2)
    assert len(set(drawn)) == 3000


def test_each_turn_of_a_chat_sends_all_before_it() -> None:
    """A client has all turns of one conversation, and pauses between them, counted from the answer."""
    clients = Chats(turns=5, system=80, turn=15, answer=6).clients(Random(1), EVEN, 50, 0.7)
    assert len(clients) == 10
    for client in clients:
        turns = [asked.prompt for asked in client.requests]
        assert [len(turn) // CHARACTERS for turn in turns] == [95, 110, 125, 140, 155]
        assert all(later.startswith(earlier) for earlier, later in pairwise(turns))
        assert all(asked.pause >= 4.0 for asked in client.requests[1:])
    assert 1 < len({turn[: 80 * CHARACTERS] for turn in prompts(clients)}) <= 4


def test_the_greedy_tenant_is_not_counted() -> None:
    """It asks at once for a minute of all there is; the modest one counts, every request."""
    clients = Tenants(SHORT).clients(Random(1), EVEN, 30, 0.3)
    greedy = [client for client in clients if client.asker == "greedy"]
    assert len(greedy) == round(60 * SHORT.capacity(EVEN))
    assert {client.requests[0].pause for client in greedy} == {5.0}
    assert [client.counted for client in clients].count(True) == 30
