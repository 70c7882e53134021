"""What a request's way was decided by, kept so that it can be told afterwards.  Values only."""

from __future__ import annotations

from typing import Literal

from swarmgate.nouns import Candidate, Word

#: Why a place was no candidate: not ready yet, failed this very request, holds other weights than those that
#: began the answer, has just refused and is left alone for a moment, is a longer way to a machine than another,
#: or has failed so often lately that it is left alone (its breaker is open).
Hindrance = Literal["not ready", "spent", "wrong weights", "resting", "longer way", "broken"]


class Considered(Word, frozen=True):
    """One place as a decision saw it: hindered and why, or a candidate, maybe with a score."""

    name: str
    hindrance: Hindrance | None = None
    score: float | None = None
    chosen: bool = False


class Decision(Word, frozen=True):
    """Whom to ask, decided once for each attempt.

    *chosen* is empty where the request was given up for want of candidates; *reason* is the balancer's
    own, or what the request was given up with.  *shadow* is whom the shadow balancer would have
    chosen, empty if there is none or it failed.
    """

    chosen: str
    reason: str
    candidates: tuple[Candidate, ...] = ()
    scores: tuple[float, ...] = ()
    hindered: tuple[tuple[str, Hindrance], ...] = ()
    shadow: str = ""

    def considered(self) -> tuple[Considered, ...]:
        """Return every place looked at, the candidates first; made anew for each who asks."""
        scores = self.scores or (None,) * len(self.candidates)
        return (
            *(
                Considered(name=candidate.name, score=score, chosen=candidate.name == self.chosen)
                for candidate, score in zip(self.candidates, scores, strict=True)
            ),
            *(Considered(name=name, hindrance=hindrance) for name, hindrance in self.hindered),
        )
