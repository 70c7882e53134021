"""What a balancer remembers about failures, so that whoever fails fast never looks idle.

Pure: no clock.  Time is counted in picks, so a candidate that failed is left alone for a number of
picks, twice as many after each further failure, and then tried again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from swarmgate.nouns import Candidate, Pick

#: How hard a share of failures weighs: at one failure in two a candidate counts as five times as busy.
WEIGHT = 4.0
#: How much the newest outcome moves the remembered share of failures.
GAIN = 0.3
#: Shares below this are forgotten, or a healed candidate would stay second choice for ever.
FORGOTTEN = 0.02
#: What a penalty multiplies at least: one second, or one request per slot.
LEAST_LOAD = 1.0
#: The share is never taken for higher than this, so that a penalty stays finite.
HIGHEST = 0.95
#: The share counts as this high at least while the last that was heard is a failure: among places with long queues one
#: that is idle, because it fails fast, would still look the better choice after its first few failures.
FAILING = 0.8
#: How many picks a candidate is left alone after it failed, at first and at most.
FIRST_REST = 16
LONGEST_REST = 256
#: The same after it has done well again, until its failures are forgotten.
HEALING_REST = 4


@dataclass(slots=True)
class _Record:
    share: float = 0.0
    rest: int = FIRST_REST
    left: int = FIRST_REST
    on_trial: bool = False
    failing: bool = False


class Setbacks:
    """Remembers how candidates failed; one per balancer.

    Call :meth:`observe` from the balancer's own, :meth:`weigh` what a candidate's load seems to be
    (or multiply it by its :meth:`penalty`), and let :meth:`trial`, or :meth:`due`, overrule the choice now and then.
    """

    def __init__(self, *, limit: int = 4096) -> None:
        self._records: dict[str, _Record] = {}
        self._limit = limit

    def __repr__(self) -> str:
        return f"<Setbacks of {len(self._records)} candidates>"

    def observe(self, candidate: Candidate, *, failed: bool) -> None:
        """Learn whether a picked candidate failed."""
        record = self._records.pop(candidate.name, None)
        if record is None:
            if not failed:
                return
            record = _Record()
        record.share += GAIN * (float(failed) - record.share)
        record.failing = failed
        if record.share < FORGOTTEN:
            return
        if not failed:
            record.rest = HEALING_REST
        elif record.on_trial:  # only a failed trial doubles: many in flight may fail of one cause
            record.rest = min(max(record.rest, FIRST_REST // 2) * 2, LONGEST_REST)
        else:
            record.rest = max(record.rest, FIRST_REST)
        record.left, record.on_trial = record.rest, False
        self._records[candidate.name] = record  # put last: the first ones are those unheard of for longest
        while len(self._records) > self._limit:
            del self._records[next(iter(self._records))]

    def penalty(self, candidate: Candidate) -> float:
        """Return by how much *candidate*'s load is to be multiplied: 1 for one that does well.

        The larger of what was observed here and what the candidate itself carries counts.
        """
        record = self._records.get(candidate.name)
        share = max(record.share if record else 0.0, candidate.failures)
        if record and record.failing:
            share = max(share, FAILING)
        if share < FORGOTTEN:
            return 1.0
        share = min(share, HIGHEST)
        return 1.0 + WEIGHT * share / (1.0 - share)

    def weigh(self, candidate: Candidate, load: float) -> float:
        """Return *load* as it is to be compared: multiplied by the penalty, and then at least one of its unit.

        An idle place's load, in seconds or in requests per slot, may be next to nothing, and so would be any multiple.
        """
        penalty = self.penalty(candidate)
        return load if penalty <= 1.0 else max(load, LEAST_LOAD) * penalty

    def due(self, candidates: Sequence[Candidate]) -> Candidate | None:
        """Return one that has rested long enough since it failed and should be tried, if any has.

        To be called once per pick: a call is what resting is counted in.
        """
        ready: Candidate | None = None
        for candidate in candidates:
            record = self._records.get(candidate.name)
            if record is None:
                continue
            record.left -= 1
            if record.left <= 0 and ready is None:
                ready = candidate
                record.left, record.on_trial = LONGEST_REST, True  # not twice before the outcome is known
        return ready

    def trial(self, candidates: Sequence[Candidate], scores: tuple[float, ...] = ()) -> Pick | None:
        """Return the pick of whoever is :meth:`due`, if anybody is; *scores* are the balancer's own, and only told."""
        ready = self.due(candidates)
        return None if ready is None else Pick(candidate=ready, reason="failed lately; tried again", scores=scores)
