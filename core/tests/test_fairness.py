from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from swarmgate.fairness import QUANTUM, DeficitRoundRobin


@dataclass(frozen=True)
class Asked:
    key: str
    tokens: int = 1000
    priority: int = 0
    number: int = 0


def served(queue: list[Asked], count: int, order: DeficitRoundRobin | None = None) -> list[Asked]:
    """Serve *count* of *queue*, one after the other."""
    order = order or DeficitRoundRobin()
    taken: list[Asked] = []
    for _ in range(count):
        chosen = order.choose(queue)
        assert order.choose(queue) is chosen
        order.serve(chosen, queue)
        queue.remove(chosen)
        taken.append(chosen)
    return taken


def test_a_flood_does_not_keep_the_others_out() -> None:
    """With a hundred of one key before it, another's request is the second to go in."""
    queue = [Asked("flood", number=number) for number in range(100)] + [Asked("other")]
    assert [each.key for each in served(queue, 3)] == ["flood", "other", "flood"]


def test_who_asks_for_much_gets_fewer() -> None:
    """Over a while both get about the same number of tokens."""
    queue = [Asked("long", tokens=4000, number=number) for number in range(50)]
    queue += [Asked("short", tokens=500, number=number) for number in range(400)]
    tokens = Counter[str]()
    for each in served(queue, 180):
        tokens[each.key] += each.tokens
    assert 0.8 < tokens["long"] / tokens["short"] < 1.25


def test_one_key_is_served_in_order_of_priority_and_arrival() -> None:
    """More urgent ones go first, but only among their own."""
    queue = [Asked("a", number=1), Asked("a", number=2), Asked("a", priority=5, number=3), Asked("b", priority=-9)]
    taken = served(queue, 4)
    assert [(each.key, each.number) for each in taken if each.key == "a"] == [("a", 3), ("a", 1), ("a", 2)]
    assert taken[1].key == "b"


def test_nobody_saves_up_while_waiting_for_nothing() -> None:
    """Who was away has no more than the others on coming back."""
    order = DeficitRoundRobin()
    served([Asked("a", tokens=10), Asked("a", tokens=10, number=1)], 2, order)
    queue = [Asked("b", number=number) for number in range(10)] + [Asked("a", number=number) for number in range(10)]
    keys = [each.key for each in served(queue, 10, order)]
    assert abs(keys.count("a") - keys.count("b")) <= 1


ASKED = st.builds(
    Asked, key=st.sampled_from("abcd"), tokens=st.integers(0, 5000), priority=st.integers(-2, 2), number=st.integers()
)


@given(st.lists(ASKED, min_size=1, max_size=40, unique_by=lambda each: each.number))
def test_everybody_is_served_once(queue: list[Asked]) -> None:
    """Whatever is asked, nobody is forgotten and nobody comes twice."""
    assert sorted(served(list(queue), len(queue)), key=repr) == sorted(queue, key=repr)


@given(st.lists(st.integers(1, 3000), min_size=2, max_size=5))
def test_nobody_falls_behind_by_more_than_a_request_and_a_quantum(costs: list[int]) -> None:
    """While all keep asking, the tokens they got differ by no more than the largest request and a round's worth."""
    queue = [Asked(str(key), tokens=cost, number=number) for number in range(60) for key, cost in enumerate(costs)]
    got = Counter[str]({str(key): 0 for key in range(len(costs))})
    for each in served(queue, 60):
        got[each.key] += each.tokens
        assert max(got.values()) - min(got.values()) <= 2 * (max(costs) + QUANTUM)
