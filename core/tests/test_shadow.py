from __future__ import annotations

from collections.abc import Sequence

from structlog.testing import capture_logs
from swarmgate.nouns import Candidate, Demand, Pick
from swarmgate.shadow import Shadow

DEMAND = Demand(model="m")
A, B = Candidate(name="a"), Candidate(name="b")


class Last:
    """Picks the last, and counts what it is told."""

    told = 0

    def pick(self, demand: Demand, candidates: Sequence[Candidate]) -> Pick:
        return Pick(candidate=candidates[-1])

    def observe(self, candidate: Candidate, *, seconds: float, failed: bool) -> None:
        self.told += 1


class Unruly(Last):
    """Fails at everything, after it has tried to spoil the list."""

    def pick(self, demand: Demand, candidates: Sequence[Candidate]) -> Pick:
        candidates.clear()  # type: ignore[attr-defined]  # the point
        return Pick(candidate=A)

    def observe(self, candidate: Candidate, *, seconds: float, failed: bool) -> None:
        raise ZeroDivisionError("oops")


class Inventor(Last):
    """Picks somebody it was not given."""

    def pick(self, demand: Demand, candidates: Sequence[Candidate]) -> Pick:
        return Pick(candidate=Candidate(name="who?"))


def test_agreement_is_counted() -> None:
    """Both ways, and it is told whom it would have picked."""
    balancer = Last()
    shadow = Shadow(balancer)
    assert [shadow.compare(DEMAND, [A, B], chosen) for chosen in (A, B, B)] == ["b", "b", "b"]
    assert shadow.counts == {True: 2, False: 1}
    shadow.observe(A, seconds=1.0, failed=False)
    assert balancer.told == 1


def test_a_shadow_that_fails_spoils_nothing_and_is_told_of_once() -> None:
    """The candidates stay as they were, nothing is counted, and the log has each kind of fault once."""
    for balancer, kinds in ((Unruly(), ["AttributeError", "ZeroDivisionError"]), (Inventor(), ["ValueError"])):
        shadow, candidates = Shadow(balancer), [A, B]
        with capture_logs() as logs:
            for _ in range(3):
                assert shadow.compare(DEMAND, candidates, A) == ""
                shadow.observe(A, seconds=1.0, failed=True)
        assert candidates == [A, B]
        assert shadow.counts == {True: 0, False: 0}
        assert [entry["reason"].partition(":")[0] for entry in logs] == kinds
