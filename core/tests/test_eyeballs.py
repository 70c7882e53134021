from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
from swarmgate.eyeballs import Race, Ranking
from swarmgate.testing import an_offer


def begun(race: Race, now: float) -> list[str]:
    """Begin all that is due at *now*."""
    found = list[str]()
    while (address := race.begin(now)) is not None:
        found.append(address)
    return found


def test_each_has_a_head_start() -> None:
    """The next address is due when the one before has had its quarter of a second, and no sooner."""
    race = Race("abc", head_start=0.25)
    assert begun(race, 10.0) == ["a"]
    assert race.due == 10.25
    assert begun(race, 10.24) == []
    assert begun(race, 10.25) == ["b"]
    assert begun(race, 11.0) == ["c"]
    assert race.due == math.inf
    assert not race.over
    assert "3 with 0 to come" in repr(race)


def test_a_failure_makes_the_next_one_due() -> None:
    """Who was begun last and failed keeps nobody waiting; an earlier one's failure takes no head start away."""
    race = Race("abcd", head_start=0.25)
    assert begun(race, 10.0) == ["a"]
    race.failed("a")
    assert begun(race, 10.01) == ["b"]
    assert begun(race, 10.26) == ["c"]
    race.failed("b")
    assert begun(race, 10.3) == []
    race.failed("c")
    assert begun(race, 10.3) == ["d"]
    race.failed("d")
    assert race.over


def test_of_no_addresses_the_race_is_over() -> None:
    """There is nothing to wait for."""
    race = Race(())
    assert race.over
    assert race.begin(0.0) is None
    assert race.due == math.inf


@given(st.lists(st.sampled_from("abcdef"), unique=True), st.lists(st.tuples(st.floats(0, 1), st.booleans())))
def test_every_address_is_begun_once_and_in_order(addresses: list[str], events: list[tuple[float, bool]]) -> None:
    """Whatever fails and whenever, none is left out, none is tried twice, and the order is the offer's."""
    race, now, tried, running = Race(addresses), 0.0, list[str](), list[str]()
    for passed, fails in [*events, *[(1.0, True)] * (2 * len(addresses))]:
        now += passed
        fresh = begun(race, now)
        assert len(fresh) <= 1
        tried, running = tried + fresh, running + fresh
        if fails and running:
            race.failed(running.pop(0))
    assert tried == addresses
    assert race.over


def test_what_stood_is_tried_first_and_what_was_lost_last() -> None:
    """Otherwise the offer's own order holds; when no address works, all is forgotten."""
    ranking, offer = Ranking(), an_offer(addresses=("a", "b", "c", "a"))
    assert ranking.order(offer) == ("a", "b", "c")
    ranking.stood(offer, "b")
    assert ranking.order(offer) == ("b", "a", "c")
    ranking.lost(offer, "b")
    assert ranking.order(offer) == ("a", "c", "b")
    ranking.stood(offer, "a")
    ranking.lost(offer, "a")
    assert ranking.order(offer) == ("c", "b", "a")
    ranking.stood(offer, "c")
    ranking.stood(offer, "b")
    assert ranking.order(offer) == ("b", "c", "a")
    ranking.forget(offer)
    assert ranking.order(offer) == ("a", "b", "c")


def test_what_is_remembered_is_bounded() -> None:
    """Addresses that an offer has no more, and the oldest of very many offers, are forgotten."""
    ranking = Ranking()
    for number in range(2000):
        ranking.stood(an_offer(f"w{number}", addresses=("a", "b")), "b")
    assert repr(ranking) == "<Ranking of 1024 offers>"
    assert ranking.order(an_offer("w0", addresses=("a", "b"))) == ("a", "b")
    assert ranking.order(an_offer("w1999", addresses=("a", "b"))) == ("b", "a")
    ranking.lost(an_offer("w1999", addresses=("a",)), "a")
    assert ranking.order(an_offer("w1999", addresses=("a", "b"))) == ("b", "a")
    ranking.forget(an_offer("w1"))
