from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st
from swarmgate.nouns import GATEWAY, NodeId
from swarmgate.rota import KEPT_SECONDS, TURN_SECONDS, Key, Rota


def keys(count: int) -> list[Key]:
    return [(NodeId(f"n{number}"), GATEWAY, "gateway") for number in range(count)]


def rota(me: str = "me", most: int = 4) -> Rota:
    return Rota(NodeId(me), most)


def test_few_are_all_held() -> None:
    """Then nothing ever changes by itself."""
    subject = rota(most=4)
    assert subject.held(keys(4), 0.0) == frozenset(keys(4))
    assert subject.until_change(0.0) == inf


def test_of_many_so_many_are_held_and_each_node_holds_others() -> None:
    """What one node pays does not grow with the swarm, and nobody is held by all or by nobody."""
    all_keys = keys(50)
    held = {me: rota(str(me), most=8).held(all_keys, 0.0) for me in range(50)}
    assert {len(each) for each in held.values()} == {8}
    by = [sum(key in each for each in held.values()) for key in all_keys]
    assert min(by) >= 1
    assert max(by) <= 20


def test_whoever_is_of_use_is_held_and_a_while_longer() -> None:
    """As long as somebody asks, and then until it has not been asked for a while."""
    subject, all_keys = rota(most=2), keys(20)
    wanted = next(key for key in all_keys if key not in subject.held(all_keys, 0.0))
    subject.begin(wanted, 1.0)
    subject.begin(wanted, 2.0)
    assert subject.is_asked_for(wanted)
    subject.end(wanted, 3.0)
    assert wanted in subject.held(all_keys, 1.0 + 10 * KEPT_SECONDS)
    subject.end(wanted, 4.0)
    assert not subject.is_asked_for(wanted)
    left = rota(most=2)
    left.begin(wanted, 0.0)
    left.end(wanted, 4.0)
    assert wanted in left.held(all_keys, 4.0 + KEPT_SECONDS - 0.1)
    assert left.until_change(4.0) <= KEPT_SECONDS
    for turn in range(3):  # whoever the lots fall on meanwhile
        if wanted not in left.held(all_keys, 4.0 + KEPT_SECONDS + turn * TURN_SECONDS):
            break
    else:
        raise AssertionError("it is held for ever")


def test_the_turn_goes_round() -> None:
    """One after the other makes room for the next, until each has been held."""
    subject, all_keys = rota(most=3), keys(10)
    before, now, seen = subject.held(all_keys, 0.0), 0.0, set[Key]()
    for _ in all_keys:
        now += subject.until_change(now)
        held = subject.held(all_keys, now)
        assert len(held - before) == 1
        assert len(before - held) == 1
        before = held
        seen |= held
    assert seen == set(all_keys)
    assert now == TURN_SECONDS * len(all_keys)


@given(st.sets(st.integers(0, 60), min_size=1), st.integers(0, 60))
def test_who_comes_or_goes_changes_little(present: set[int], other: int) -> None:
    """One who comes displaces one at most, and one who goes makes room for one at most."""
    everybody = keys(61)
    subject, fewer = rota(most=4), [everybody[number] for number in sorted(present - {other})]
    more = [*fewer, everybody[other]]
    with_it, without_it = subject.held(more, 0.0), subject.held(fewer, 0.0)
    assert with_it - {everybody[other]} <= without_it
    assert len(without_it - with_it) <= 1
