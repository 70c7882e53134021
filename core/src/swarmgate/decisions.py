"""What a request's way was decided by, kept so that it can be told afterwards.  Values only."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from swarmgate.chat import Usage
from swarmgate.nouns import Candidate, Word

#: Why a place was no candidate: not ready yet, failed this very request, holds other weights than those that
#: began the answer, has just refused and is left alone for a moment, is a longer way to a machine than another,
#: or has failed so often lately that it is left alone (its breaker is open).  Of those to be asked beside one that is
#: silent for too long: that one, and those whose slots are all taken.
Hindrance = Literal["not ready", "spent", "wrong weights", "resting", "longer way", "broken", "silent", "busy"]


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


class Account(Word, frozen=True):
    """What became of one request, or what has so far.

    *path* is the template of what was asked, *at* when.  *status* is 0 while the request runs.  *reason* is the last
    failure of a backend on the way, also of one that was made good; *fault* is the code of the error that the client
    was told.  *writing_seconds* is how long ago its first piece came, or how long the answer took from there, None if
    none came; *queue_place* its place among those who wait for a slot, 0 if it does not.  *decisions* go with the
    number of the answer they were made for, where several were asked for; *left_out* is how many earlier ones are not
    kept.
    """

    id: str
    path: str
    at: datetime
    status: int = 0
    seconds: float = 0.0
    model: str = ""
    worker: str = ""
    attempts: int = 0
    resumed: int = 0
    queue_seconds: float = 0.0
    reason: str = ""
    fault: str = ""
    usage: Usage = Usage()
    writing_seconds: float | None = None
    queue_place: int = 0
    decisions: tuple[tuple[int, Decision], ...] = ()
    left_out: int = 0
