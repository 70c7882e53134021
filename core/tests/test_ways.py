from __future__ import annotations

import pytest
from swarmgate.chat import ModelCard
from swarmgate.echo import EchoBackend
from swarmgate.errors import LoopDetected
from swarmgate.nouns import Health, NodeId
from swarmgate.passage import Passage
from swarmgate.places import Place
from swarmgate.ways import ASLEEP, advertised, left_asleep, passable, preferred, replicas


def place(name: str, *paths: str, ready: bool = True, slots: int = 2) -> Place:
    """Return a place with *paths* such as ``"ab"``: by way of a to b; none is a backend of our own."""
    card = ModelCard(name="m", slots=slots, paths=tuple(tuple(path) for path in paths))
    return Place(name, EchoBackend(), card, Health(ready=ready, reason="" if ready else "gone"))


def names(places: tuple[Place, ...]) -> str:
    return " ".join(each.name for each in places)


def came_by(*ids: str) -> Passage:
    return Passage(len(ids), tuple(map(NodeId, ids)))


def test_nothing_goes_back_where_it_came_from() -> None:
    """A place is left out whose every way leads through a gateway that was passed."""
    places = (place("here"), place("a", "a"), place("b", "b", "ba"), place("c", "ca"))
    assert names(passable(places, Passage())) == "here a b c"
    assert names(passable(places, came_by("a"))) == "here b"
    with pytest.raises(LoopDetected, match=r"'m' is to be had only from gateways .* through: x -> a"):
        passable((place("a", "a"),), came_by("x", "a"))


def test_the_shortest_way_to_each_machine_is_taken() -> None:
    """A relay is of use where it leads to somebody new, or where the straight way is closed."""
    straight, relay = place("a", "a"), place("h", "ha", "hb")
    assert names(preferred((relay, straight))) == "h a"
    assert names(preferred((place("h", "ha"), straight))) == "a"
    assert names(preferred((place("h", "ha"), place("a", "a", ready=False)))) == "h"


def test_of_equal_ways_the_first_is_taken() -> None:
    """A gateway that is known twice does not count twice; backends of our own are machines of their own."""
    assert names(preferred((place("once", "a"), place("twice", "a")))) == "once"
    assert names(preferred((place("one"), place("two")))) == "one two"


def test_what_was_relayed_goes_the_shortest_ways_of_all() -> None:
    """Those are what the other gateway was told of; if they are closed, others will do."""
    here, there = place("here"), place("a", "a")
    assert names(preferred((here, there), relayed=True)) == "here"
    assert names(preferred((place("here", ready=False), there), relayed=True)) == "a"
    assert preferred((), relayed=True) == ()


def test_replicas_are_machines() -> None:
    """Counted once, however many ways lead there, and whether they are ready or not."""
    assert replicas((place("one"), place("two", ready=False), place("a", "a"), place("h", "ha", "hb"))) == 4


def test_a_gateway_tells_the_ways_it_would_take() -> None:
    """With itself in front, and with the slots on them."""
    me = NodeId("me")
    assert advertised((place("here"), place("a", "a")), me) == ((("me",),), 2)
    assert advertised((place("a", "a"), place("b", "b", slots=5)), me) == ((("me", "a"), ("me", "b")), 7)


def test_a_model_stays_known_while_nobody_is_ready() -> None:
    """The ways are told all the same."""
    assert advertised((place("a", "a", ready=False),), NodeId("me")) == ((("me", "a"),), 2)


def asleep(name: str) -> Place:
    card = ModelCard(name="m", paths=((name,),), labels={ASLEEP: "yes"})
    return Place(name, EchoBackend(), card, Health(ready=True))


def test_nobody_is_woken_while_another_has_a_free_slot() -> None:
    """And whoever is asleep is as good as any other once all slots are taken, or where there is nobody else."""
    places = {each.name: each for each in (place("a", "a", slots=2), asleep("b"), asleep("c"))}
    assert left_asleep(places, lambda _: 1) == ("b", "c")
    assert left_asleep(places, lambda _: 2) == ()
    del places["a"]
    assert left_asleep(places, lambda _: 0) == ()
