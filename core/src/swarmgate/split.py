"""How one model is divided: shares of its layers, and the plan they make up."""

from __future__ import annotations

from swarmgate.nouns import Word, Worker


class Share(Word, frozen=True):
    """A worker's part of a model as a fraction in (0, 1]; *worker* None is this machine."""

    worker: Worker | None
    fraction: float


class SplitPlan(Word, frozen=True):
    """Where the parts of one model go.  No shares means: all of it here."""

    shares: tuple[Share, ...] = ()
    reason: str = ""

    @property
    def workers(self) -> tuple[Worker, ...]:
        """Return the workers that take part, in the order of their shares."""
        return tuple(share.worker for share in self.shares if share.worker is not None)
