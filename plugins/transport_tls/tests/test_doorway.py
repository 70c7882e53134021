from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from swarmgate_transport_tls.child.doorway import Doorway, Knocks


def test_one_address_cannot_fill_the_doorway() -> None:
    """Of too many from one address the oldest goes, and nobody else."""
    doorway: Doorway[str] = Doorway(most=10, most_of_one=2)
    assert [doorway.enter(name, "a") for name in ("a1", "a2")] == [None, None]
    assert doorway.enter("b1", "b") is None
    assert doorway.enter("a3", "a") == "a1"
    assert doorway.enter("a4", "a") == "a2"
    assert len(doorway) == 3


def test_many_addresses_cannot_keep_a_newcomer_out() -> None:
    """When all places are taken, who has stood there longest goes."""
    doorway: Doorway[int] = Doorway(most=3, most_of_one=2)
    assert [doorway.enter(number, str(number)) for number in range(5)] == [None, None, None, 0, 1]


def test_who_has_left_takes_no_place() -> None:
    """Members go through at once, and leaving twice does no harm."""
    doorway: Doorway[int] = Doorway(most=2, most_of_one=1)
    for number in range(10):
        assert doorway.enter(number, "a") is None
        doorway.leave(number)
        doorway.leave(number)
    assert len(doorway) == 0


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3), st.booleans())))
def test_the_limits_hold_whatever_happens(moves: list[tuple[int, int, bool]]) -> None:
    """Never more than the most, in all and of one; the counts are those of a plain list."""
    doorway: Doorway[int] = Doorway(most=5, most_of_one=3)
    model: dict[int, int] = {}
    for number, (visitor, address, enters) in enumerate(moves):
        if enters:
            key = 100 + number  # visitors do not come back
            leaving = doorway.enter(key, str(address))
            if leaving is not None:
                del model[leaving]
            model[key] = address
        elif model:
            key = sorted(model)[visitor % len(model)]
            doorway.leave(key)
            del model[key]
        assert len(doorway) == len(model) <= 5
        assert all(list(model.values()).count(one) <= 3 for one in range(4))


def test_a_knock_counts_once() -> None:
    """Who has overheard a knock cannot use it; the oldest are forgotten in the end."""
    knocks = Knocks(most=2)
    assert knocks.is_new(b"one")
    assert not knocks.is_new(b"one")
    assert knocks.is_new(b"two")
    assert knocks.is_new(b"three")
    assert not knocks.is_new(b"three")
    assert knocks.is_new(b"one")
