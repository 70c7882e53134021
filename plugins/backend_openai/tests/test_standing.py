from __future__ import annotations

from swarmgate.api import ModelCard
from swarmgate.testing import FakeClock
from swarmgate_backend_openai.standing import Standing

CARDS = (ModelCard(name="m"),)


def standing(clock: FakeClock, *foretold: ModelCard) -> Standing:
    return Standing(foretold=foretold, remember=100.0, refresh=5.0, clock=clock)


def test_it_is_ready_when_the_last_look_was_good() -> None:
    """Before the first look it is not, and after a bad one the reason is that look's."""
    subject = standing(FakeClock())
    assert not subject.health().ready
    assert subject.health().reason
    subject.saw(CARDS, "")
    assert subject.health().ready
    subject.missed("gone")
    assert (subject.health().ready, subject.health().reason) == (False, "gone")
    subject.saw(CARDS, "m: loading")
    assert subject.health().reason == "m: loading"


def test_models_are_known_for_a_while_after_it_went() -> None:
    """Then no longer, but for those that were foretold; a good look brings them back."""
    clock = FakeClock()
    subject = standing(clock, ModelCard(name="told"))
    assert [card.name for card in subject.models()] == ["told"]
    subject.saw(CARDS, "")
    subject.missed("gone")
    clock.advance(90)
    subject.missed("gone")
    assert subject.models() == CARDS
    clock.advance(11)
    assert [card.name for card in subject.models()] == ["told"]
    subject.saw(CARDS, "")
    assert subject.models() is subject.models()
    assert subject.models() == CARDS


def test_it_is_left_alone_for_longer_after_each_miss() -> None:
    """From a quarter of a second up to ten, and as is usual once it is back; requests that fail do not count."""
    subject = standing(FakeClock())
    pauses: list[float] = []
    subject.missed("gone", looked=False)
    assert (subject.health().reason, subject.misses) == ("gone", 0)
    for _ in range(40):
        subject.missed("gone")
        pauses.append(subject.pause())
    assert pauses[:3] == [0.25, 0.375, 0.5625]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 10.0
    subject.saw(CARDS, "")
    assert (subject.pause(), subject.misses) == (5.0, 0)


def test_one_that_loads_is_looked_at_soon_again() -> None:
    """From a quarter of a second up to what is usual; anew from the start once it has been ready or gone."""
    subject = standing(FakeClock())
    pauses: list[float] = []
    for _ in range(12):
        subject.saw(CARDS, "m: loading")
        pauses.append(subject.pause())
    assert pauses[:3] == [0.25, 0.375, 0.5625]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 5.0
    for meanwhile in (lambda: subject.saw(CARDS, ""), lambda: subject.missed("gone")):
        meanwhile()
        subject.saw(CARDS, "m: loading")
        assert subject.pause() == 0.25
