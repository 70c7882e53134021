from __future__ import annotations

from collections import Counter
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from acme_sticky import Sticky, StickyOptions, open_sticky, swarmgate_balancer
from swarmgate.api import Balancer
from swarmgate.testing import BalancerContract, PluginContract, a_candidate, a_context, a_demand

INSTALLED = bool(entry_points(group="swarmgate.plugins", name="acme_sticky"))


class TestContract(BalancerContract):
    def make(self) -> Balancer:
        return Sticky()


@pytest.mark.skipif(not INSTALLED, reason="acme-sticky is not installed here; the journey installs it")
class TestPlugin(PluginContract):
    plugin = "acme_sticky"


def test_a_session_stays() -> None:
    """A conversation's requests go where its first one went, though that place is busier now."""
    sticky = Sticky()
    first = sticky.pick(a_demand(session="s"), [a_candidate("a"), a_candidate("b", in_flight=1)])
    assert first.candidate.name == "a"
    for _ in range(10):
        pick = sticky.pick(a_demand(session="s"), [a_candidate("a", in_flight=1), a_candidate("b")])
        assert pick.candidate.name == "a"


def test_a_pick_says_why() -> None:
    """Whether a place was the session's own, the least busy one, or on trial, is told."""
    sticky = Sticky()
    both = [a_candidate("a"), a_candidate("b")]
    assert [sticky.pick(a_demand(session="s"), both).reason for _ in range(2)] == [
        "least busy",
        "the session's own place",
    ]


def test_a_session_moves_when_its_place_is_gone_and_stays_there() -> None:
    """The next place becomes its own, even when the first one comes back."""
    sticky = Sticky()
    a, b = a_candidate("a"), a_candidate("b")
    assert sticky.pick(a_demand(session="s"), [a]).candidate.name == "a"
    assert sticky.pick(a_demand(session="s"), [b]).candidate.name == "b"
    assert sticky.pick(a_demand(session="s"), [a, b]).candidate.name == "b"


def test_a_session_moves_when_its_place_is_too_busy() -> None:
    """Loyalty ends where the queue is longer by more than is spared."""
    sticky = Sticky(StickyOptions(spare_requests=2.0))
    sticky.pick(a_demand(session="s"), [a_candidate("a")])
    within = [a_candidate("a", in_flight=2), a_candidate("b")]
    assert sticky.pick(a_demand(session="s"), within).candidate.name == "a"
    beyond = [a_candidate("a", in_flight=3), a_candidate("b")]
    assert sticky.pick(a_demand(session="s"), beyond).candidate.name == "b"


def test_without_a_session_the_least_busy_is_picked() -> None:
    """Requests that name no conversation are not tied to anything, and leave no trace."""
    sticky = Sticky()
    for busy in (0, 5):
        candidates = [a_candidate("a", in_flight=busy), a_candidate("b", in_flight=3)]
        assert sticky.pick(a_demand(), candidates).candidate.name == ("b" if busy else "a")
    assert repr(sticky) == "<Sticky with 0 sessions>"


def test_models_are_told_apart() -> None:
    """One session may have a place for each model."""
    sticky = Sticky()
    sticky.pick(a_demand("m1", session="s"), [a_candidate("a")])
    sticky.pick(a_demand("m2", session="s"), [a_candidate("b")])
    both = [a_candidate("a"), a_candidate("b")]
    assert [sticky.pick(a_demand(model, session="s"), both).candidate.name for model in ("m1", "m2")] == ["a", "b"]


def test_sessions_leave_a_place_that_fails() -> None:
    """A home that fails looks busier with every failure, until its sessions go elsewhere."""
    sticky = Sticky()
    sticky.pick(a_demand(session="s"), [a_candidate("a")])
    picks = Counter[str]()
    for _ in range(100):
        pick = sticky.pick(a_demand(session="s"), [a_candidate("a"), a_candidate("b")]).candidate
        sticky.observe(pick, seconds=0.002, failed=pick.name == "a")
        picks[pick.name] += 1
    assert picks["a"] < 10


def test_the_memory_is_bounded() -> None:
    """Only so many conversations are remembered; one that goes on is not the first to be forgotten."""
    sticky = Sticky(StickyOptions(sessions=3))
    sticky.pick(a_demand(session="goes on"), [a_candidate("a")])
    both = [a_candidate("a", in_flight=1), a_candidate("b")]
    for number in range(100):
        sticky.pick(a_demand(session=str(number)), both)
        assert sticky.pick(a_demand(session="goes on"), both).candidate.name == "a"
    assert repr(sticky) == "<Sticky with 3 sessions>"


@pytest.mark.anyio
async def test_the_part_opens(tmp_path: Path) -> None:
    """What the hook offers opens a balancer with the options given."""
    (part,) = swarmgate_balancer()
    assert (part.name, part.open) == ("sticky", open_sticky)
    async with part.open(StickyOptions(), a_context(tmp_path)) as balancer:
        assert isinstance(balancer, Balancer)
