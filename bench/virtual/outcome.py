"""What is made of one trial: from what became of each request to the figures.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean, pstdev
from typing import Literal

import msgspec
from sidebyside.figures import percentile

from virtual.equity import fairness

#: What a request must keep to be good: seconds to the first token, and seconds for each one after it.
FIRST_SECONDS, TOKEN_SECONDS = 1.0, 0.1
#: A token of an answer is as much service as so many of a prompt (Y. Sheng et al., "Fairness in Serving Large Language
#: Models", OSDI 2024).
_WRITTEN = 2.0

#: Answered, turned away at the door or out of patience there, failed before the first token, broken off after it.
Fate = Literal["done", "shed", "failed", "truncated"]


@dataclass(slots=True)
class Record:
    """What became of one request; times in seconds from the start of the trial."""

    asker: str
    counted: bool
    prompt_tokens: int
    tokens: int
    arrived: float
    ended: float = 0.0
    fate: Fate = "done"
    resumed: int = 0
    pieces: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])

    @property
    def first(self) -> float:
        """Return the seconds until the first token of one that has any."""
        return self.pieces[0][0] - self.arrived

    @property
    def whole(self) -> float:
        """Return the seconds until the end."""
        return self.ended - self.arrived

    @property
    def each(self) -> float:
        """Return the seconds for each token after the first of one that is done; 0 if there was only one."""
        return (self.pieces[-1][0] - self.pieces[0][0]) / (self.tokens - 1) if self.tokens > 1 else 0.0

    def good(self) -> bool:
        """Return whether it was answered in time: first token and those after it."""
        return self.fate == "done" and self.first < FIRST_SECONDS and self.each < TOKEN_SECONDS

    def service(self, until: float) -> float:
        """Return how much it got by then, in tokens of a prompt."""
        written = sum(tokens for at, tokens in self.pieces if at <= until)
        return self.prompt_tokens + _WRITTEN * written if written else 0.0

    def demand(self) -> float:
        """Return how much it asked for, in tokens of a prompt."""
        return self.prompt_tokens + _WRITTEN * self.tokens


@dataclass(frozen=True, slots=True)
class Usage:
    """What one machine did: requests that it was asked, prompt tokens, and seconds of work."""

    name: str
    asked: int
    read_tokens: int
    held_tokens: int
    work_seconds: float


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a trial: times in seconds, shares in [0, 1].

    Of the requests that count and were answered: *first* is the time to the first token from the arrival, *whole* that
    to the end, *each* that for each token after the first.  Of all that count: *good_share* is the share that was
    answered in time, *good_rate* so many a second; *shed*, *failed* and *truncated* are numbers, *resumed* is how
    often an answer was carried on.  Of all: *token_rate* is the tokens of answers a second, *fairness* Jain's index
    over the keys (None with one key alone).  *odd_share* is the share of all attempts that went to the odd machine,
    *held_share* that of prompt tokens that needed no reading, *imbalance* the coefficient of variation of the
    machines' seconds of work.
    """

    workload: str
    balancer: str
    seed: int
    requests: int
    counted: int
    seconds: float
    attempts: int
    shed: int
    failed: int
    truncated: int
    resumed: int
    first_p50: float
    first_p95: float
    first_p99: float
    each_p50: float
    each_p99: float
    whole_mean: float
    whole_p50: float
    whole_p95: float
    whole_p99: float
    good_share: float
    good_rate: float
    token_rate: float
    odd_share: float
    held_share: float
    imbalance: float
    fairness: float | None


def outcome(names: tuple[str, str, int], records: Sequence[Record], machines: Sequence[Usage], odd: str) -> Outcome:
    """Return the figures of the trial of *names*: the workload, the balancer and the seed.

    *machines* are those that can work at all, and the odd one.

    Raises:
        ValueError: no request that counts was answered, so that there are no times.

    """
    workload, balancer, seed = names
    counted = [record for record in records if record.counted]
    done = [record for record in counted if record.fate == "done"]
    if not done:
        raise ValueError(f"{balancer!r} answered no request of {workload!r} with seed {seed}; simulate more requests")
    firsts, eaches, wholes = ([getattr(record, name) for record in done] for name in ("first", "each", "whole"))
    seconds = max(record.ended for record in records)
    asked = sum(machine.asked for machine in machines)
    held = sum(machine.held_tokens for machine in machines)
    work = [machine.work_seconds for machine in machines if machine.work_seconds or machine.name != odd]
    good = sum(record.good() for record in counted)
    return Outcome(
        workload=workload,
        balancer=balancer,
        seed=seed,
        requests=len(records),
        counted=len(counted),
        seconds=seconds,
        attempts=asked,
        shed=_number(counted, "shed"),
        failed=_number(counted, "failed"),
        truncated=_number(counted, "truncated"),
        resumed=sum(record.resumed for record in counted),
        first_p50=percentile(firsts, 50),
        first_p95=percentile(firsts, 95),
        first_p99=percentile(firsts, 99),
        each_p50=percentile(eaches, 50),
        each_p99=percentile(eaches, 99),
        whole_mean=fmean(wholes),
        whole_p50=percentile(wholes, 50),
        whole_p95=percentile(wholes, 95),
        whole_p99=percentile(wholes, 99),
        good_share=good / len(counted),
        good_rate=good / seconds,
        token_rate=sum(tokens for record in records for _, tokens in record.pieces) / seconds,
        odd_share=sum(machine.asked for machine in machines if machine.name == odd) / max(asked, 1),
        held_share=held / max(held + sum(machine.read_tokens for machine in machines), 1),
        imbalance=pstdev(work) / max(fmean(work), 1e-9),
        fairness=equity(records),
    )


def equity(records: Sequence[Record]) -> float | None:
    """Return how evenly the keys were served while all of them wanted something, None if there is only one.

    That time ends when the last request of the first of them to be done has ended.
    """
    lasts: dict[str, float] = {}
    for record in records:
        lasts[record.asker] = max(lasts.get(record.asker, 0.0), record.ended)
    if len(lasts) <= 1:
        return None
    until = min(lasts.values())
    served, demands = dict.fromkeys(lasts, 0.0), dict.fromkeys(lasts, 0.0)
    for record in records:
        if record.arrived <= until:
            served[record.asker] += record.service(until)
            demands[record.asker] += record.demand()
    return fairness(served, demands)


def _number(records: Sequence[Record], fate: Fate) -> int:
    return sum(record.fate == fate for record in records)
