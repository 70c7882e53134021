"""``GET /v1/requests``: what became of requests, and why they went where they went."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from swarmgate.decisions import Account, Considered, Decision, Hindrance
from swarmgate.http.wire.heading import encode

#: What a request is at: it waits for a slot, its prompt is read, its answer is written; or all is over.
Phase = Literal["queued", "reading", "writing", "over"]
#: Of fewer tokens a rate says nothing.
_ENOUGH_TOKENS = 2


class ConsideredDocument(Struct, kw_only=True):
    """One place as a decision saw it: left out by *hindrance*, or a candidate, maybe with a score (lower is better)."""

    place: str
    chosen: bool = False
    score: float | UnsetType = UNSET
    hindrance: Hindrance | UnsetType = UNSET


class DecisionDocument(Struct, kw_only=True):
    """Whom to ask, decided once for each attempt.

    *answer* is the number of the answer, from 0, where several were asked for.  *chosen* is null where the request was
    given up, and *reason* says why then.  *shadow* is whom the shadow balancer would have chosen.
    """

    answer: int
    chosen: str | None
    reason: str
    shadow: str | UnsetType = UNSET
    places: list[ConsideredDocument]


class RequestSummary(Struct, kw_only=True):
    """What became of a request, in short; *status* is null while it runs, 499 if the client did not wait.

    *route* is the path asked for; *reason* is the last failure of a backend on the way, also of one that was made good;
    *error* is the code of the error that the client was told.  While it runs, *phase* says what it is at, and
    *queue_place* where it stands among those who wait for a slot.  *tokens_per_second* is counted from its first piece.
    """

    id: str
    at: datetime
    route: str
    model: str | UnsetType = UNSET
    status: int | None
    seconds: float
    queue_ms: int
    attempts: int
    resumed: int
    worker: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    error: str | UnsetType = UNSET
    phase: Phase | UnsetType = UNSET
    queue_place: int | UnsetType = UNSET
    completion_tokens: int = 0
    tokens_per_second: float | UnsetType = UNSET


class RequestDocument(RequestSummary, kw_only=True):
    """What became of a request; *decisions_left_out* is how many decisions before the first shown are not kept."""

    prompt_tokens: int
    cached_tokens: int
    decisions: list[DecisionDocument]
    decisions_left_out: int | UnsetType = UNSET


class RequestList(Struct, kw_only=True):
    """The latest requests, the newest first; *kept* is how many of those that are over the gateway remembers."""

    object: Literal["list"] = "list"
    kept: int
    data: list[RequestSummary]


def request_json(account: Account) -> bytes:
    """Return all of *account* as JSON."""
    usage = account.usage
    return encode(
        RequestDocument(
            **_facts(account),
            prompt_tokens=usage.prompt_tokens,
            cached_tokens=usage.cached_tokens,
            decisions=[_decision(answer, decision) for answer, decision in account.decisions],
            decisions_left_out=account.left_out or UNSET,
        )
    )


def requests_json(accounts: Iterable[Account], kept: int) -> bytes:
    """Return *accounts* in short as JSON."""
    return encode(RequestList(kept=kept, data=[request_summary(account) for account in accounts]))


def request_summary(account: Account) -> RequestSummary:
    """Return *account* in short."""
    return RequestSummary(**_facts(account))


def _facts(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "at": account.at,
        "route": account.path,
        "model": account.model or UNSET,
        "status": account.status or None,
        "seconds": round(account.seconds, 4),
        "queue_ms": round(account.queue_seconds * 1000),
        "attempts": account.attempts,
        "resumed": account.resumed,
        "worker": account.worker or UNSET,
        "reason": account.reason or UNSET,
        "error": account.fault or UNSET,
        "phase": _phase(account),
        "queue_place": account.queue_place or UNSET,
        "completion_tokens": account.usage.completion_tokens,
        "tokens_per_second": _rate(account),
    }


def _phase(account: Account) -> Phase:
    if account.status:
        return "over"
    if account.queue_place:
        return "queued"
    return "reading" if account.writing_seconds is None else "writing"


def _rate(account: Account) -> float | UnsetType:
    """Return the tokens per second after the first, if there were enough to tell."""
    after, seconds = account.usage.completion_tokens - 1, account.writing_seconds
    if after < _ENOUGH_TOKENS or not seconds:
        return UNSET
    return round(after / seconds, 1)


def _decision(answer: int, decision: Decision) -> DecisionDocument:
    return DecisionDocument(
        answer=answer,
        chosen=decision.chosen or None,
        reason=decision.reason,
        shadow=decision.shadow or UNSET,
        places=[_considered(each) for each in decision.considered()],
    )


def _considered(each: Considered) -> ConsideredDocument:
    return ConsideredDocument(
        place=each.name,
        chosen=each.chosen,
        score=UNSET if each.score is None else each.score,
        hindrance=each.hindrance or UNSET,
    )
