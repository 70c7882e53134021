"""Which backends can serve a request, and how they are doing.  No clock, no loop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from swarmgate.chat import Ability, ModelCard
from swarmgate.contracts import Backend
from swarmgate.errors import NoCandidate, NotLoaded, Starting, Unavailable, UnknownModel, Unsupported
from swarmgate.nouns import Health


@dataclass(frozen=True, slots=True)
class Place:
    """A backend that serves the model in question, and the card it serves it by."""

    name: str
    backend: Backend
    card: ModelCard
    health: Health


def named(backends: Mapping[str, Backend], model: str) -> tuple[Place, ...]:
    """Return the places that have *model* by name or alias, in whatever state.

    Raises:
        UnknownModel: there are none.

    """
    places = tuple(
        Place(name, backend, card, backend.health())
        for name, backend in backends.items()
        for card in backend.models()
        if model == card.name or model in card.aliases
    )
    if not places:
        known = sorted({card.name for backend in backends.values() for card in backend.models()})
        raise UnknownModel(f"no model is called {model!r}; there are: {', '.join(known) or 'none'}", param="model")
    return places


def serving(backends: Mapping[str, Backend], model: str, ability: Ability | None = None) -> tuple[Place, ...]:
    """Return the places that serve *model*, ready or not yet, without those that failed for good.

    What a model can do is taken from its card only once it is ready: before, nobody has looked.

    Raises:
        UnknownModel: no backend has a model of that name or alias.
        Unsupported: the model lacks *ability*.
        NoCandidate: all that serve it have failed for good.
        NotLoaded: it was unloaded everywhere.

    """
    places = named(backends, model)
    able = [place for place in places if ability is None or not place.health.ready or ability in place.card.abilities]
    if not able:
        abilities = sorted({known for place in places for known in place.card.abilities})
        raise Unsupported(
            f"model {model!r} is not made for {ability}, only for {' and '.join(abilities)}", param="model"
        )
    hopeful = tuple(place for place in able if place.health.ready or not place.health.permanent)
    if not hopeful:
        if unloaded(able):
            raise NotLoaded(f"model {model!r} {able[0].health.reason}")
        raise NoCandidate(f"model {model!r} cannot be served: {_reasons(able)}")
    return hopeful


def ready(places: Iterable[Place]) -> tuple[Place, ...]:
    """Return those of *places* that could answer now."""
    return tuple(place for place in places if place.health.ready)


def capacity(places: Iterable[Place]) -> int:
    """Return how many answers the ready ones of *places* write at once."""
    return sum(max(place.card.slots, 1) for place in ready(places))


def unloaded(places: Iterable[Place]) -> bool:
    """Return whether the model of *places* answers nowhere because it was unloaded."""
    return all(place.health.unloaded for place in places)


def why_not(model: str, places: Iterable[Place]) -> Unavailable | None:
    """Return what to raise if none of *places* is ready, None if one is."""
    places = tuple(places)
    if ready(places):
        return None
    return Starting(f"model {model!r} is not ready yet: {_reasons(places)}")


def summary(models: Mapping[str, Sequence[Place]]) -> Health:
    """Return whether each of *models* has a place that is ready, or why one has not."""
    stuck = {model: places for model, places in models.items() if not ready(places)}
    if not models:
        return Health(ready=False, reason="no model is served", permanent=True)
    if not stuck:
        return Health(ready=True)
    known = [
        place.health.progress for places in stuck.values() for place in places if place.health.progress is not None
    ]
    return Health(
        ready=False,
        reason="; ".join(f"{model}: {_reasons(places)}" for model, places in stuck.items()),
        progress=min(known, default=None),
        permanent=all(place.health.permanent for places in stuck.values() for place in places),
        unloaded=all(map(unloaded, stuck.values())),
    )


def _reasons(places: Iterable[Place]) -> str:
    places = tuple(places)
    if len(places) == 1:
        return _describe(places[0].health)
    return "; ".join(f"{place.name}: {_describe(place.health)}" for place in places)


def _describe(health: Health) -> str:
    reason = "ready" if health.ready else health.reason or "not ready"
    return reason if health.progress is None else f"{reason} ({health.progress:.0%})"
