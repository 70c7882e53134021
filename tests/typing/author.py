"""A plugin as an outsider would write it.  Never run: pyright and mypy read it, both in their strictest mode."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, assert_type

from swarmgate.api import (
    Backend,
    Balancer,
    Candidate,
    Delta,
    Demand,
    Discovery,
    Embeddings,
    EmbedRequest,
    Endpoint,
    EngineError,
    GenerateRequest,
    Health,
    Ledger,
    Lender,
    Loan,
    MemoryLedger,
    ModelCard,
    NoOptions,
    Offer,
    Options,
    Part,
    PartContext,
    Pick,
    Service,
    Share,
    SplitPlan,
    Splitter,
    Token,
    TokenizeRequest,
    Transport,
    Unreachable,
    Unsupported,
    Way,
    Worker,
    hookimpl,
)


class StickyOptions(Options, frozen=True):
    """What a configuration may say about ``sticky``."""

    #: How many sessions are remembered.
    sessions: int = 1024


class Sticky:
    """A balancer that keeps a session where it was."""

    def __init__(self, options: StickyOptions) -> None:
        self._limit = options.sessions
        self._homes: dict[str, str] = {}

    def pick(self, demand: Demand, candidates: Sequence[Candidate]) -> Pick:
        """Return the session's home, if it still stands."""
        home = self._homes.get(demand.session)
        assert_type(home, str | None)
        chosen = next((candidate for candidate in candidates if candidate.name == home), candidates[0])
        return Pick(candidate=chosen, reason="home" if chosen.name == home else "the first")

    def observe(self, candidate: Candidate, *, seconds: float, failed: bool) -> None:
        """Forget the homes of one that failed."""
        if failed:
            self._homes = {session: home for session, home in self._homes.items() if home != candidate.name}


@asynccontextmanager
async def open_sticky(options: StickyOptions, context: PartContext) -> AsyncGenerator[Balancer]:
    """Open the balancer."""
    assert_type(context.require(MemoryLedger, hint="configure a ledger"), MemoryLedger)
    yield Sticky(options)


class Wire:
    """A transport for one address."""

    scheme = "wire"

    @asynccontextmanager
    async def reach(self, address: str) -> AsyncGenerator[Endpoint]:
        """Yield the address, taken for an endpoint."""
        host, _, port = address.removeprefix("wire://").rpartition(":")
        if not port.isdecimal():
            raise Unreachable(f"expected wire://host:port, got {address!r}")
        yield Endpoint(host, int(port))

    @asynccontextmanager
    async def expose(self, service: Service, endpoint: Endpoint) -> AsyncGenerator[tuple[str, ...]]:
        """Yield the endpoint, taken for an address."""
        yield (f"wire://{endpoint}",)

    def ways(self) -> tuple[Way, ...]:
        """Return nothing: no path is kept."""
        return ()


class Halves:
    """A splitter that shares evenly."""

    def plan(self, model: ModelCard, here: int, workers: Sequence[Worker]) -> SplitPlan:
        """Give every worker the same."""
        return SplitPlan(shares=tuple(Share(worker=worker, fraction=1 / len(workers)) for worker in workers))


class Listing:
    """A discovery that knows one offer."""

    def __init__(self, offer: Offer) -> None:
        self._offer = offer

    async def run(self, ledger: Ledger) -> None:
        """Post it and watch."""
        await ledger.post(self._offer)
        async with ledger.watch(self._offer.service) as sets:
            async for offers in sets:
                assert_type(offers, tuple[Offer, ...])


class Mute:
    """A backend that says nothing."""

    def models(self) -> tuple[ModelCard, ...]:
        """Serve none."""
        return ()

    def health(self) -> Health:
        """Be ready for it."""
        return Health(ready=True)

    async def load(self, plan: SplitPlan) -> None:
        """Load nothing."""

    @asynccontextmanager
    async def generate(self, request: GenerateRequest) -> AsyncGenerator[AsyncIterator[Delta]]:
        """Fail."""
        raise EngineError(f"{request.model} has nothing to say")
        yield

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """Refuse."""
        raise Unsupported(f"{request.model} embeds nothing")

    async def tokenize(self, request: TokenizeRequest) -> tuple[Token, ...]:
        """Cut nothing."""
        return ()

    async def detokenize(self, model: str, ids: Sequence[int]) -> bytes:
        """Join nothing."""
        return b""


class Purse:
    """A lender of nothing much."""

    @asynccontextmanager
    async def lend(self) -> AsyncGenerator[Loan]:
        """Lend a port."""
        yield Loan(endpoint=Endpoint("127.0.0.1", 50052), labels={"memory_bytes": "0"})


transport: Transport = Wire()
splitter: Splitter = Halves()
backend: Backend = Mute()
lender: Lender = Purse()


def listing(offer: Offer) -> Discovery:
    """Return a discovery, to be seen as one."""
    return Listing(offer)


@asynccontextmanager
async def open_mute(options: NoOptions, context: PartContext) -> AsyncGenerator[Backend]:
    """Open the backend."""
    yield Mute()


@hookimpl
def swarmgate_balancer() -> list[Part[Any, Balancer]]:
    """Offer ``sticky``."""
    return [
        Part(
            "sticky",
            "Keeps a session where it was.",
            StickyOptions,
            open_sticky,
            environ={"STICKY_SESSIONS": "sessions"},
        )
    ]


@hookimpl
def swarmgate_backend() -> list[Part[Any, Backend]]:
    """Offer ``mute``."""
    return [Part("mute", "Says nothing.", NoOptions, open_mute)]
