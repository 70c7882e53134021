"""A balancer that is asked about live traffic and decides nothing; how often it agrees is counted."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from swarmgate.contracts import Balancer
from swarmgate.nouns import Candidate, Demand


class Shadow:
    """Asks *balancer* what it would have picked, and never lets it spoil a request.

    *counts* says how often it agreed (True), and how often not (False); a failing one does neither.
    """

    def __init__(self, balancer: Balancer) -> None:
        self._balancer = balancer
        self._faults: set[str] = set()
        self.counts = {True: 0, False: 0}

    def __repr__(self) -> str:
        return f"<Shadow {self._balancer!r}, agreed {self.counts[True]}, not {self.counts[False]}>"

    def compare(self, demand: Demand, candidates: Sequence[Candidate], chosen: Candidate) -> str:
        """Return the name of whom it would have picked, empty if it failed."""
        try:
            name = self._balancer.pick(demand, tuple(candidates)).candidate.name
            known = any(candidate.name == name for candidate in candidates)
        except Exception as error:  # noqa: BLE001  # whatever it is, the request is not to notice
            self._fault(error)
            return ""
        if not known:
            self._fault(ValueError(f"picked {name!r}, which is none of the candidates"))
            return ""
        self.counts[name == chosen.name] += 1
        return name

    def observe(self, candidate: Candidate, *, seconds: float, failed: bool) -> None:
        """Let it learn how *candidate* did, whoever picked it."""
        try:
            self._balancer.observe(candidate, seconds=seconds, failed=failed)
        except Exception as error:  # noqa: BLE001  # likewise
            self._fault(error)

    def _fault(self, error: Exception) -> None:
        kind = type(error).__name__
        if kind not in self._faults:  # once: it may well fail at every request
            self._faults.add(kind)
            log = structlog.get_logger("swarmgate.dispatch")
            log.warning("dispatch.shadow_failed", part=type(self._balancer).__name__, reason=f"{kind}: {error}")
