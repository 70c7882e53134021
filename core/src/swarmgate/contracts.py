"""What a part of each kind must be able to do.

Every contract is a small :class:`~typing.Protocol`.  :mod:`swarmgate.testing` holds the
executable half: a test class per contract that any implementation can be run through.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, runtime_checkable

from swarmgate.chat import Delta, Embeddings, EmbedRequest, GenerateRequest, ModelCard, Token, TokenizeRequest
from swarmgate.nouns import Candidate, Demand, Endpoint, Health, Loan, Offer, Pick, Service, Way, Worker
from swarmgate.split import SplitPlan


@runtime_checkable
class Transport(Protocol):
    """Makes a node's service reachable from this machine, and ours from theirs."""

    @property
    def scheme(self) -> str:
        """Return the URI scheme of the addresses it understands, such as ``tcp``."""
        ...

    def reach(self, address: str) -> AbstractAsyncContextManager[Endpoint]:
        """Hold a path to *address* open and yield the local end of it.

        Not promised: that a later connection to the endpoint succeeds, nor that two paths to
        one address differ.

        Raises:
            Unreachable: no path can be opened, or the address is not one of this scheme.

        """
        ...

    def expose(self, service: Service, endpoint: Endpoint) -> AbstractAsyncContextManager[tuple[str, ...]]:
        """Let others reach *endpoint* while held; yield the addresses they may use, best first, at least one.

        A service exposed twice gets other addresses each time, each of which leads to its own endpoint.  What stands
        behind a question mark in an address is a hint how to get there: a path that holds is not left when it changes.

        Raises:
            Unreachable: this transport cannot be listened on, or its address is taken.

        """
        ...

    def ways(self) -> tuple[Way, ...]:
        """Return how each path goes that :meth:`reach` holds open now, under the address it was given.  Never blocks.

        A path is among them from the moment it is yielded until it is left.
        """
        ...


@runtime_checkable
class Movable(Protocol):
    """What a transport has besides whose addresses may change while something is exposed; others may leave it out."""

    async def addresses(self, exposed: str) -> tuple[str, ...]:
        """Return under which addresses others reach now what was exposed, best first; none if they cannot.

        *exposed* is the first of those that :meth:`Transport.expose` yielded.  It is asked every few seconds while that
        is held; an offer of it is posted anew when the answer changes.
        """
        ...


@runtime_checkable
class Ledger(Protocol):
    """The shared book of standing offers."""

    def offers(self, service: Service) -> tuple[Offer, ...]:
        """Return the live offers of *service*, sorted by key.  Never blocks."""
        ...

    async def post(self, offer: Offer) -> None:
        """Enter or renew *offer*; an older sequence never replaces a newer one.

        Not promised: that others have seen it when this returns.
        """
        ...

    async def withdraw(self, offer: Offer) -> None:
        """Take *offer* and all older ones of its key out; unknown ones are ignored."""
        ...

    def watch(self, service: Service) -> AbstractAsyncContextManager[AsyncIterator[tuple[Offer, ...]]]:
        """Yield the whole set of live offers now, and again after it changed.

        Not promised: one set per change.  Changes that come together may be told together, and
        the same set may be told twice.
        """
        ...


@runtime_checkable
class Discovery(Protocol):
    """Carries offers between this node's ledger and the world."""

    async def run(self, ledger: Ledger) -> None:
        """Keep *ledger* supplied until cancelled; what it posted may lapse afterwards."""
        ...


@runtime_checkable
class Probe(Protocol):
    """Asks whoever offers a service what there is to be had, before anything is entrusted to it."""

    @property
    def service(self) -> Service:
        """Return the service whose offers it can look into."""
        ...

    async def here(self) -> int:
        """Return how many bytes of memory this machine itself could give to a model now; 0 if nobody can tell."""
        ...

    def watch(self, endpoint: Endpoint) -> AbstractAsyncContextManager[AsyncIterator[dict[str, str]]]:
        """Yield the labels of what is at *endpoint* now, and again after they changed, while it can be used.

        Labels are those of :class:`~swarmgate.nouns.Offer`; ``memory_bytes`` is what is free, ``leased_by`` names
        who has it, empty if nobody has.  The iterator does not end; what is no longer there raises.

        Not promised: that a change is told at once, nor how long silence takes to be noticed; the
        implementation says so.

        Raises:
            Unreachable: nobody answers, what answers is something else or another version, or it is gone;
                on entering or while iterating.  The message names the endpoint.
            Unavailable: it is there, and cannot be used just now; the message says why.

        """
        ...


@runtime_checkable
class Attentive(Protocol):
    """A backend that looks now and then what somebody elsewhere has, and can be told that there is news."""

    def look_again(self) -> None:
        """Look soon.  Never blocks."""
        ...


@runtime_checkable
class Balancer(Protocol):
    """Decides where a request goes.  Pure and synchronous: never awaits, never blocks."""

    def pick(self, demand: Demand, candidates: Sequence[Candidate]) -> Pick:
        """Return one of *candidates*, which is never empty, and why that one."""
        ...

    def observe(self, candidate: Candidate, *, seconds: float, failed: bool) -> None:
        """Learn how a picked candidate did.  Called exactly once for each pick.

        A balancer that runs as a shadow learns how the candidates did that another one picked.
        """
        ...


@runtime_checkable
class Splitter(Protocol):
    """Divides a model among this machine and its workers.  Pure and synchronous."""

    def plan(self, model: ModelCard, here: int, workers: Sequence[Worker]) -> SplitPlan:
        """Return shares that sum to one; *here* is this machine's free memory in bytes.

        A worker's memory is its label ``memory_bytes``.  The same arguments give the same plan.
        Portions are filled in, also of a model that stays here whole, where the splitter knows its sizes.

        Raises:
            Unavailable: the weights fit nowhere; the message has the numbers.

        """
        ...


@runtime_checkable
class Backend(Protocol):
    """Answers requests."""

    def models(self) -> tuple[ModelCard, ...]:
        """Return what is served, also while it is still loading.  Never blocks."""
        ...

    def health(self) -> Health:
        """Return whether a request could be answered now.  Never blocks."""
        ...

    async def load(self, plan: SplitPlan) -> None:
        """Load, or load anew, by *plan*, and keep it so; an empty plan means: all of it here.

        Returns once it is loaded.  What was loaded before goes on answering until then if there is room for both;
        if not, and in any case once the new one is ready, its answers fail with Starting, so that they are carried
        over.  What dies later, the backend itself, or a worker while its offer stands, the backend loads again by
        the same plan.  Cancelled, or failed with Unavailable, it may be left with nothing loaded.

        Raises:
            EngineError: the model cannot be loaded, and :meth:`health` is permanent; the message
                says why.
            Unavailable: not by this plan, or not now: a worker is gone, has been lent to somebody else, or has too
                little memory; the message says which and why.

        """
        ...

    def generate(self, request: GenerateRequest) -> AbstractAsyncContextManager[AsyncIterator[Delta]]:
        """Start an answer.  Leaving the context stops the work, however far it got.

        The iterator ends after the one piece that has *finish*.  Errors may come on entering or
        while iterating.

        Raises:
            RequestError: the request cannot be answered by this model, whoever runs it.
            Unavailable: not now.
            EngineError: the engine took the request and failed it.

        """
        ...

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """Embed every input.  Raises like :meth:`generate`, and Unsupported."""
        ...

    async def tokenize(self, request: TokenizeRequest) -> tuple[Token, ...]:
        """Cut text, or a chat, into the model's tokens.

        Of a chat's tokens the bytes may be empty, where only the ids are known.  Raises like :meth:`generate`, and
        Unsupported where nobody lays chats out without answering them.
        """
        ...

    async def detokenize(self, model: str, ids: Sequence[int]) -> bytes:
        """Return the bytes that *ids* stand for.  Raises like :meth:`generate`."""
        ...


@runtime_checkable
class Lender(Protocol):
    """Lends this machine's compute on a local port (slot ``worker``)."""

    def lend(self) -> AbstractAsyncContextManager[Loan]:
        """Hold the service open and yield where it listens and what its offer should say.

        Raises:
            EngineError: it would not start; the message says why.

        """
        ...
