from __future__ import annotations

from swarmgate.decisions import Considered, Decision
from swarmgate.nouns import Candidate


def test_every_place_is_told_of() -> None:
    """Candidates with their scores and the chosen one marked; the others with what was in their way."""
    decision = Decision(
        chosen="b",
        reason="least loaded",
        candidates=(Candidate(name="a"), Candidate(name="b")),
        scores=(2.0, 1.0),
        hindered=(("c", "not ready"),),
    )
    assert decision.considered() == (
        Considered(name="a", score=2.0),
        Considered(name="b", score=1.0, chosen=True),
        Considered(name="c", hindrance="not ready"),
    )


def test_a_balancer_need_not_score() -> None:
    """Then no candidate has a score."""
    decision = Decision(chosen="a", reason="its turn", candidates=(Candidate(name="a"),))
    assert decision.considered() == (Considered(name="a", chosen=True),)
