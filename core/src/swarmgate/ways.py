"""Which of several ways to a model to take, where gateways answer by way of gateways.  Pure.

A card's *paths* name the gateways behind its backend, the next one first and the one whose machine
computes last; none means here.  Paths make circles visible before anybody walks them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from swarmgate.errors import LoopDetected
from swarmgate.nouns import NodeId
from swarmgate.passage import Passage
from swarmgate.places import Place, ready

Path = tuple[NodeId, ...]
#: The label of a model at a gateway to which no path is held: one would have to be opened.
ASLEEP = "asleep"
_HERE: Path = ()


def paths_of(place: Place) -> tuple[Path, ...]:
    """Return the ways by which *place* has an answer computed; the empty one is: by itself."""
    return tuple(tuple(map(NodeId, path)) for path in place.card.paths) or (_HERE,)


def passable(places: Sequence[Place], passage: Passage) -> tuple[Place, ...]:
    """Return those of *places* that a request of *passage* may be sent to: never back where it came from.

    Raises:
        LoopDetected: there is none.

    """
    if not passage.path:
        return tuple(places)
    open_to_it = tuple(place for place in places if _open(place, passage))
    if not open_to_it:
        raise LoopDetected(
            f"model {places[0].card.name!r} is to be had only from gateways this request has come through:"
            f" {' -> '.join(passage.path)}"
        )
    return open_to_it


def preferred(places: Iterable[Place], *, relayed: bool = False) -> tuple[Place, ...]:
    """Return those of the ready *places* that are worth asking.

    Of several ways to one machine the shortest counts, and of equally short ones the first.  A request that a
    gateway has *relayed* here goes only the shortest ways of all: those are what that gateway was told of.
    """
    able = ready(places)
    if not any(place.card.paths for place in able):  # each computes by itself, and is a machine of its own
        return able
    if relayed:
        shortest = min((_length(place) for place in able), default=0)
        able = tuple(place for place in able if _length(place) == shortest)
    best: dict[tuple[NodeId, ...] | str, tuple[int, int]] = {}
    for number, place in enumerate(able):
        for origin, length in _origins(place):
            best[origin] = min(best.get(origin, (length, number)), (length, number))
    chosen = {number for _, number in best.values()}
    return tuple(place for number, place in enumerate(able) if number in chosen)


def left_asleep(places: Mapping[str, Place], in_flight: Callable[[str], int]) -> tuple[str, ...]:
    """Return which of *places* not to wake: those asleep, while another has a free slot; *in_flight* says what it does.

    So idle gateways are left alone by those who have enough without them, and many requests wake one after another.
    """
    asleep = tuple(name for name, place in places.items() if ASLEEP in place.card.labels)
    awake = places.keys() - set(asleep)
    return asleep if any(in_flight(name) < max(places[name].card.slots, 1) for name in awake) else ()


def replicas(places: Iterable[Place]) -> int:
    """Return on how many machines the model of *places* stands, whether they are ready or not."""
    return len({origin for place in places for origin, _ in _origins(place)})


def advertised(places: Sequence[Place], me: NodeId) -> tuple[tuple[Path, ...], int]:
    """Return what the gateway *me* tells another of a model: the paths it would take, and slots on them.

    Where nobody is ready these are all there are, so that the model stays known.
    """
    told = preferred(places, relayed=True) or tuple(places)
    shortest = min(map(_length, told), default=0)
    paths = dict.fromkeys((me, *path) for place in told for path in paths_of(place) if len(path) == shortest)
    return tuple(paths), sum(max(place.card.slots, 1) for place in told)


def _open(place: Place, passage: Passage) -> bool:
    return any(not set(path) & set(passage.path) for path in paths_of(place))


def _length(place: Place) -> int:
    return min(map(len, paths_of(place)))


def _origins(place: Place) -> Iterable[tuple[tuple[NodeId, ...] | str, int]]:
    """Yield each machine behind *place* and how far it is; a backend of our own is a machine of its own."""
    for path in paths_of(place):
        yield (path[-1:] if path else place.name), len(path)
