"""Stand-ins that do exactly what a test tells them, failures included."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

import anyio

from swarmgate.api import (
    LLAMA_RPC,
    Delta,
    Embeddings,
    EmbedRequest,
    Endpoint,
    GenerateRequest,
    Health,
    ModelCard,
    Service,
    SplitPlan,
    SwarmgateError,
    Token,
    TokenizeRequest,
    Unreachable,
    Unsupported,
    Usage,
    Way,
)
from swarmgate.testing.makers import a_card

#: One step of a script: a piece, the text of one, or what is raised at that point.
Step = Delta | str | BaseException


class FakeClock:
    """A clock that stands still until it is moved; call it for the time in seconds."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __repr__(self) -> str:
        return f"<FakeClock {self.now:g}>"

    def __call__(self) -> float:
        """Return the time it was set to."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Move on by *seconds*."""
        self.now += seconds


@dataclass(slots=True)
class ScriptedBackend:
    """Answers by its script, the same for every request, and notes what happened.

    A string is a piece with that text, an exception is raised in its place.  An answer that has
    not said its *finish* by the end of the script is finished with ``stop``.  *script* may be
    changed between requests; *pause* is awaited before each step, if it is set.
    """

    script: Sequence[Step] = ("hello", " there")
    card: ModelCard = field(default_factory=a_card)
    state: Health = field(default_factory=lambda: Health(ready=True))
    pause: anyio.Event | None = None
    requests: list[GenerateRequest] = field(default_factory=list[GenerateRequest], init=False)
    plans: list[SplitPlan] = field(default_factory=list[SplitPlan], init=False)
    #: How many answers are being written, and how many were begun and ended, however they ended.
    running: int = field(default=0, init=False)
    ended: int = field(default=0, init=False)

    def models(self) -> tuple[ModelCard, ...]:
        """Return the one card."""
        return (self.card,)

    def health(self) -> Health:
        """Return what the test set."""
        return self.state

    async def load(self, plan: SplitPlan) -> None:
        """Note *plan*."""
        self.plans.append(plan)

    @asynccontextmanager
    async def generate(self, request: GenerateRequest) -> AsyncGenerator[AsyncIterator[Delta]]:
        """Play the script."""
        self.requests.append(request)
        self.running += 1
        try:
            async with aclosing(self._play()) as deltas:
                yield deltas
        finally:
            self.running -= 1
            self.ended += 1

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """Refuse: a script has no vectors."""
        raise Unsupported(f"the script of {self.card.name!r} has no embeddings")

    async def tokenize(self, request: TokenizeRequest) -> tuple[Token, ...]:
        """Cut text into the bytes of its UTF-8."""
        return tuple(Token(id=byte, data=bytes([byte])) for byte in request.text.encode())

    async def detokenize(self, model: str, ids: Sequence[int]) -> bytes:
        """Join bytes again."""
        return bytes(ids)

    async def _play(self) -> AsyncGenerator[Delta]:
        said = 0
        for step in self.script:
            if self.pause is not None:
                await self.pause.wait()
            await anyio.lowlevel.checkpoint()
            if isinstance(step, BaseException):
                raise step
            piece = Delta(text=step, token_ids=tuple(step.encode())) if isinstance(step, str) else step
            said += len(piece.token_ids)
            yield piece
            if piece.finish is not None:
                return
        yield Delta(finish="stop", usage=Usage(completion_tokens=said))


class FakeProbe:
    """Finds at each endpoint the labels it was told, and forgets them on request.

    :meth:`say` changes what is found, a mapping for labels and an error for what is raised in their place.
    """

    def __init__(self, *, service: Service = LLAMA_RPC, here: int = 64 << 30) -> None:
        self.memory = here
        #: The endpoints watched at the moment, in the order of asking.
        self.watched: list[Endpoint] = []
        self._service = service
        self._found: dict[Endpoint, Mapping[str, str] | SwarmgateError] = {}
        self._news = anyio.Event()

    def __repr__(self) -> str:
        return f"<FakeProbe of {self._service}, {len(self._found)} known>"

    @property
    def service(self) -> Service:
        """Return the service it was made for."""
        return self._service

    async def here(self) -> int:
        """Return the memory it was told."""
        return self.memory

    def say(self, endpoint: Endpoint, found: Mapping[str, str] | SwarmgateError) -> None:
        """Let *found* be what is at *endpoint* from now on."""
        self._found[endpoint] = found
        self._news.set()
        self._news = anyio.Event()

    @asynccontextmanager
    async def watch(self, endpoint: Endpoint) -> AsyncGenerator[AsyncIterator[dict[str, str]]]:
        """Yield what there is at *endpoint*, and again whenever :meth:`say` has changed it."""
        self.watched.append(endpoint)
        try:
            async with aclosing(self._look(endpoint)) as reports:
                yield reports
        finally:
            self.watched.remove(endpoint)

    async def _look(self, endpoint: Endpoint) -> AsyncGenerator[dict[str, str]]:
        last: Mapping[str, str] | None = None
        while True:
            news = self._news
            found = self._found.get(endpoint, Unreachable(f"nothing answers at {endpoint}"))
            if isinstance(found, SwarmgateError):
                raise found
            if found == last:
                await news.wait()
                continue
            last = found
            yield dict(found)


class FakeTransport:
    """Reaches what it was told about, under ``fake://NAME``, and forgets it on request."""

    def __init__(self, known: Mapping[str, Endpoint] | None = None, *, scheme: str = "fake") -> None:
        self.known = dict(known or {})
        #: How the path to an address goes, where a test wants it to be other than direct.
        self.told: dict[str, Way] = {}
        #: The addresses of the paths held open at the moment, in the order of opening.
        self.held: list[str] = []
        self._scheme = scheme

    def __repr__(self) -> str:
        return f"<FakeTransport {self._scheme}, {len(self.known)} known>"

    @property
    def scheme(self) -> str:
        """Return the scheme it was made with."""
        return self._scheme

    @asynccontextmanager
    async def reach(self, address: str) -> AsyncGenerator[Endpoint]:
        """Yield the endpoint known for *address*.

        Raises:
            Unreachable: there is none.

        """
        await anyio.lowlevel.checkpoint()
        if address not in self.known:
            raise Unreachable(f"nobody is known at {address}; known: {', '.join(self.known) or 'nobody'}")
        self.held.append(address)
        try:
            yield self.known[address]
        finally:
            self.held.remove(address)

    @asynccontextmanager
    async def expose(self, service: Service, endpoint: Endpoint) -> AsyncGenerator[tuple[str, ...]]:
        """Know *endpoint* while held, under an address made from it."""
        await anyio.lowlevel.checkpoint()
        address = f"{self._scheme}://{service}/{endpoint}"
        self.known[address] = endpoint
        try:
            yield (address,)
        finally:
            del self.known[address]

    def ways(self) -> tuple[Way, ...]:
        """Return a way for each path held open, direct unless :attr:`told` says otherwise."""
        return tuple(self.told.get(address, Way(address=address)) for address in self.held)
