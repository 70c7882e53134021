from __future__ import annotations

import pytest
from swarmgate.chat import ModelCard
from swarmgate.echo import EchoBackend, EchoOptions
from swarmgate.errors import NoCandidate, NotLoaded, Starting, UnknownModel, Unsupported
from swarmgate.nouns import Health
from swarmgate.places import capacity, named, serving, summary, why_not

READY = Health(ready=True)
LOADING = Health(ready=False, reason="loading", progress=0.25)
BROKEN = Health(ready=False, reason="no such file", permanent=True)


class Stub(EchoBackend):
    """Shows the card and the health it is given."""

    def __init__(self, health: Health, card: ModelCard) -> None:
        super().__init__(EchoOptions())
        self._shown = health, card

    def models(self) -> tuple[ModelCard, ...]:
        return (self._shown[1],)

    def health(self) -> Health:
        return self._shown[0]


def stub(health: Health = READY, name: str = "m", **card: object) -> Stub:
    return Stub(health, ModelCard(name=name, **card))  # type: ignore[arg-type]  # facts of the card


def test_backends_are_found_by_name_and_alias() -> None:
    """Every backend that has the name counts, ready or not; an unknown name lists the known ones."""
    backends = {"a": stub(), "b": stub(LOADING), "c": stub(name="n", aliases=("m",)), "d": stub(name="o")}
    assert [place.name for place in named(backends, "m")] == ["a", "b", "c"]
    with pytest.raises(UnknownModel, match="no model is called 'x'; there are: m, n, o"):
        named(backends, "x")
    with pytest.raises(UnknownModel, match="there are: none"):
        named({}, "x")


def test_those_that_failed_for_good_do_not_serve() -> None:
    """Only if nobody else is left does their reason come out."""
    assert [place.name for place in serving({"a": stub(BROKEN), "b": stub(LOADING)}, "m")] == ["b"]
    with pytest.raises(NoCandidate, match="'m' cannot be served: no such file"):
        serving({"a": stub(BROKEN)}, "m")


def test_what_was_unloaded_is_told_apart_from_what_failed() -> None:
    """Somebody wanted it so; beside a place that failed or loads it changes nothing."""
    resting = Health(ready=False, reason="is unloaded", permanent=True, unloaded=True)
    with pytest.raises(NotLoaded, match="model 'm' is unloaded"):
        serving({"a": stub(resting)}, "m")
    with pytest.raises(NoCandidate, match="'m' cannot be served: a: is unloaded; b: no such file") as caught:
        serving({"a": stub(resting), "b": stub(BROKEN)}, "m")
    assert not isinstance(caught.value, NotLoaded)
    assert [place.name for place in serving({"a": stub(resting), "b": stub(LOADING)}, "m")] == ["b"]
    assert summary({"m": named({"a": stub(resting)}, "m")}).unloaded
    assert not summary({"m": named({"a": stub(resting), "b": stub(LOADING)}, "m")}).unloaded


def test_what_a_model_can_do_is_known_once_it_is_ready() -> None:
    """A card of one that loads is not held against it."""
    with pytest.raises(Unsupported, match="not made for embedding, only for chat and completion"):
        serving({"a": stub()}, "m", "embedding")
    assert serving({"a": stub(LOADING)}, "m", "embedding")
    able = stub(abilities=frozenset({"embedding"}))
    assert [place.name for place in serving({"a": stub(), "b": able}, "m", "embedding")] == ["b"]


def test_capacity_counts_the_slots_of_the_ready() -> None:
    """A card without slots still stands for one."""
    assert capacity(named({"a": stub(slots=3), "b": stub(LOADING, slots=5), "c": stub(slots=0)}, "m")) == 4


def test_why_nobody_is_ready() -> None:
    """The reason names each backend and how far it is; there is none while one is ready."""
    reason = why_not("m", named({"a": stub(LOADING)}, "m"))
    assert isinstance(reason, Starting)
    assert str(reason) == "model 'm' is not ready yet: loading (25%)"
    assert why_not("m", named({"a": stub(LOADING), "b": stub()}, "m")) is None


def test_the_health_of_several_models() -> None:
    """All must be ready; progress is the least, and it is permanent only if all that lack failed for good."""
    good, slow, bad = (named({"a": stub(health)}, "m") for health in (READY, LOADING, BROKEN))
    assert summary({"m": (*good, *bad)}) == READY
    assert summary({"m": good, "n": slow}) == Health(ready=False, reason="n: loading (25%)", progress=0.25)
    assert summary({"m": slow, "n": bad}) == Health(
        ready=False, reason="m: loading (25%); n: no such file", progress=0.25
    )
    assert summary({"n": bad}).permanent
    assert summary({}).permanent
