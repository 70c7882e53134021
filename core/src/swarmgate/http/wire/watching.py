"""``GET /v1/swarm/events``: the state of the swarm for whoever keeps looking, as server-sent events.

Each ``swarm`` event is the whole state, so that one that is missed does no harm; ``sample`` events continue the lines
that ``hello`` begins.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from swarmgate.decisions import Account
from swarmgate.http.history import EVERY_SECONDS, Sample
from swarmgate.http.wire.requests import RequestSummary, request_summary
from swarmgate.http.wire.swarm import SwarmDocument

#: What an event is called.
EventName = Literal["hello", "swarm", "sample"]


class SampleDocument(Struct, kw_only=True):
    """The last two seconds before *at*, per second, and what was the case then.

    *first_piece_seconds* is the mean time to an answer's first piece, left out where none came.
    """

    at: datetime
    tokens_per_second: float
    requests_per_second: float
    failures_per_second: float
    running: int
    waiting: int
    ready: int
    first_piece_seconds: float | UnsetType = UNSET


class HelloDocument(Struct, kw_only=True):
    """What is sent first: the *samples* so far, the oldest first, one for every *sample_seconds*.

    *operator* says whether who watches may look after the gateway, *refusal* why not.
    """

    operator: bool
    sample_seconds: float
    samples: list[SampleDocument]
    refusal: str | UnsetType = UNSET


class WatchedSwarm(SwarmDocument, kw_only=True):
    """What is sent at once, and after every change: the swarm, the requests that run, and the last that do not."""

    requests: list[RequestSummary]


def sample_document(sample: Sample) -> SampleDocument:
    """Return *sample* as clients read it."""
    first = sample.first_seconds
    return SampleDocument(
        at=sample.at,
        tokens_per_second=round(sample.tokens_per_second, 1),
        requests_per_second=round(sample.requests_per_second, 2),
        failures_per_second=round(sample.failures_per_second, 2),
        running=sample.running,
        waiting=sample.waiting,
        ready=sample.ready,
        first_piece_seconds=UNSET if first is None else round(first, 4),
    )


def hello_document(samples: Iterable[Sample], refusal: str = "") -> HelloDocument:
    """Return what begins a stream; *refusal* is why who watches is no operator, empty for one who is."""
    return HelloDocument(
        operator=not refusal,
        sample_seconds=EVERY_SECONDS,
        samples=[sample_document(sample) for sample in samples],
        refusal=refusal or UNSET,
    )


def watched(swarm: SwarmDocument, accounts: Iterable[Account]) -> WatchedSwarm:
    """Return *swarm* with the requests of *accounts*."""
    return WatchedSwarm(
        gateway=swarm.gateway,
        models=swarm.models,
        workers=swarm.workers,
        nodes=swarm.nodes,
        gateways=swarm.gateways,
        requests=[request_summary(account) for account in accounts],
    )


def named_event(name: EventName, number: int, data: bytes) -> bytes:
    """Return *data*, JSON on one line, as the event of that name and number."""
    return b"event: %s\nid: %d\ndata: %s\n\n" % (name.encode(), number, data)
