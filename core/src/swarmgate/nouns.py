"""The few words the whole house shares.  Values only: no I/O, no clocks, no locks."""

from __future__ import annotations

from typing import Literal, NewType

import msgspec

NodeId = NewType("NodeId", str)
Service = NewType("Service", str)

#: A llama.cpp RPC server: compute and memory for a part of a model's layers.
LLAMA_RPC = Service("llama-rpc")
#: A whole gateway that answers OpenAI requests.
GATEWAY = Service("gateway")


class Word(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of the words: immutable values that compare by content and travel as MessagePack."""


class Node(Word, frozen=True):
    """One participant: an opaque, stable identity and a name for people."""

    id: NodeId
    name: str


class Endpoint(msgspec.Struct, frozen=True):
    """A TCP address that *this* machine can connect to right now."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Offer(Word, frozen=True):
    """A node's standing offer of one service; it lapses unless renewed.

    *addresses* are URIs in order of preference (``tcp://10.0.0.5:50052``); the scheme selects
    the transport.  *labels* are facts for balancers and splitters (``memory_bytes``, ``models``,
    ``version``), so that a new fact needs no new protocol.  *lifetime* is in seconds from the
    moment of posting: clocks of different machines need not agree.
    """

    node: NodeId
    service: Service
    name: str
    addresses: tuple[str, ...]
    labels: dict[str, str] = {}
    sequence: int = 0
    lifetime: float = 60.0

    @property
    def key(self) -> tuple[NodeId, Service, str]:
        """Return what identifies this offer; of two with one key the higher sequence wins."""
        return self.node, self.service, self.name


class Way(Word, frozen=True):
    """One path that a transport holds open: by which of the peer's addresses, and how it goes.

    *direct* bytes pass through nobody else's machine, *relayed* ones do.  *rtt_seconds* is the round trip as last
    measured, None if nobody has.  *reason* says why it goes this way, or what is amiss with it, if there is
    something to say.
    """

    address: str
    kind: Literal["direct", "relayed"] = "direct"
    rtt_seconds: float | None = None
    reason: str = ""


class Worker(Word, frozen=True):
    """An offer of compute, and the local end of the path that reaches it."""

    offer: Offer
    endpoint: Endpoint


class Loan(Word, frozen=True):
    """What a lender lends while it is open: where it listens, and the labels of its offer."""

    endpoint: Endpoint
    labels: dict[str, str] = {}


class Candidate(Word, frozen=True):
    """One place a request may go, as a balancer sees it.

    *in_flight* are the requests under way there, *writing* of them have had their prompt read;
    *queued_tokens* are the prompt tokens that have yet to be read, without those it holds.  Rates
    are tokens per second, 0 when unknown: *prefill_rate* of the whole place, *decode_rate* of one
    answer.  *rtt* is what passes besides, in seconds, before a first piece can come; *failures* is a
    decayed share of recent failures in [0, 1]; *cached_prefix* is how many tokens of this very
    prompt the place likely still holds.  Of the *labels*, ``weight`` is its share in taking turns.
    """

    name: str
    in_flight: int = 0
    writing: int = 0
    slots: int = 1
    queued_tokens: int = 0
    prefill_rate: float = 0.0
    decode_rate: float = 0.0
    rtt: float = 0.0
    failures: float = 0.0
    cached_prefix: int = 0
    labels: dict[str, str] = {}


class Demand(Word, frozen=True):
    """What one request asks for, as a balancer sees it.

    *session* is the key the client named its conversation by (``X-Session-ID``, else
    ``prompt_cache_key``, else ``user``), empty if it named none.  *prompt_tokens* is an estimate
    until a backend has counted; *max_tokens* is None where the client set no limit.
    *expected_tokens* is how long answers of this model have been lately, 0 where nobody knows.
    *waiting* is how many others wait for a slot of this model, and go on waiting if this request
    takes one that is not free yet while another is.
    *blocks* name the prompt's beginnings, each a hash over all of the prompt up to its end: two
    prompts that begin alike have their first ones in common.
    """

    model: str
    session: str = ""
    prompt_tokens: int = 0
    max_tokens: int | None = None
    expected_tokens: int = 0
    waiting: int = 0
    blocks: tuple[int, ...] = ()


class Pick(Word, frozen=True):
    """A balancer's choice and its grounds.

    *reason* is for people, in a few words ("least loaded", "prefix of 512 tokens").  *scores* are
    one for each of the candidates, in the order they were given, lower is better; empty if the
    balancer does not score.  The best score need not be the one picked: a trial, or lots, may be
    the reason.
    """

    candidate: Candidate
    reason: str = ""
    scores: tuple[float, ...] = ()


class Health(Word, frozen=True):
    """Ready, or not and why; *progress* in [0, 1] while something long is under way.

    *permanent* says that it will not become ready by itself: a request fails at once with
    *reason* instead of waiting.  *unloaded* says that somebody who looks after the gateway wanted it so: nothing is
    amiss.
    """

    ready: bool
    reason: str = ""
    progress: float | None = None
    permanent: bool = False
    unloaded: bool = False
