"""The backend: looks at a server again and again, and sends it what it is asked."""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import quote

import anyio
import anyio.lowlevel
import anyio.to_thread
import msgspec
import structlog
from swarmgate.api import (
    ConfigError,
    Delta,
    Embeddings,
    EmbedRequest,
    EngineError,
    EventReader,
    GenerateRequest,
    Health,
    ModelCard,
    Node,
    SplitPlan,
    SwarmgateError,
    Token,
    TokenizeRequest,
    Unavailable,
    UnknownModel,
    Unreachable,
    WireError,
    background,
    current_passage,
)

from swarmgate_backend_openai import OpenAIOptions
from swarmgate_backend_openai.address import base_of, name_of
from swarmgate_backend_openai.answering import AnswerReader
from swarmgate_backend_openai.asking import EMBEDDINGS, RANKINGS, question, ranking_wanted, vectors_wanted
from swarmgate_backend_openai.client import Client, ConnectionLost, Stream, open_client
from swarmgate_backend_openai.cutting import cut
from swarmgate_backend_openai.documents import read_scores, read_text, read_vectors
from swarmgate_backend_openai.listing import Choosing, cards, foretold, read_listing, wanted
from swarmgate_backend_openai.liveness import Liveness, pinged
from swarmgate_backend_openai.standing import Standing

_log = structlog.get_logger("swarmgate.backend_openai")
#: What is asked to be looked at at once is looked at after so many seconds: many may ask.
_BREATH_SECONDS = 0.05
_LONGEST_SESSION = 256


class OpenAIBackend:
    """Answers what the server behind *client* answers, whose *liveness* it watches; *node* is this gateway."""

    def __init__(self, options: OpenAIOptions, client: Client, liveness: Liveness, node: Node) -> None:
        self._options = options
        self._client = client
        self._liveness = liveness
        self._node = node
        self._choosing = Choosing(
            me=node.id,
            node=options.name or client.who,
            wanted=wanted(options.models),
            slots=options.slots,
            labels={} if options.weight == 1 else {"weight": str(options.weight)},
        )
        self._standing = Standing(
            foretold=foretold(self._choosing),
            remember=options.remember_seconds,
            refresh=options.refresh_seconds,
            clock=time.monotonic,
        )
        self._due = anyio.Event()
        self._is_gateway = False
        self._ping_seconds = 0.0
        self._told: bool | None = None
        self.looked = anyio.Event()

    def __repr__(self) -> str:
        return f"<OpenAIBackend {self._client.who}>"

    def models(self) -> tuple[ModelCard, ...]:
        """Return what the server serves, or did until lately."""
        return self._standing.models()

    def health(self) -> Health:
        """Return whether the last look was a good one."""
        return self._standing.health()

    def look_again(self) -> None:
        """Look soon: it is said to have something else now."""
        self._due.set()

    async def load(self, plan: SplitPlan) -> None:
        """Do nothing: what there is to load is loaded elsewhere."""
        await anyio.lowlevel.checkpoint()

    @asynccontextmanager
    async def generate(self, request: GenerateRequest) -> AsyncGenerator[AsyncIterator[Delta]]:
        """Start an answer there; leaving closes the connection, which frees the slot."""
        card = self._card(request.model)
        if request.resume is not None and not self._is_gateway:
            raise Unavailable(f"{self._client.who} cannot go on with an answer that others began")
        fingerprint = card.fingerprint if self._is_gateway else None
        path, body = question(request, self._choosing.named_there(card.name), fingerprint=fingerprint)
        headers = self._headers(request.id, request.session)
        with self._noticing(card):
            async with (
                self._client.stream(path, body, headers, seconds=self._patience(begun=False)) as stream,
                aclosing(self._deltas(stream)) as deltas,
            ):
                yield deltas

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """Have every input embedded there, or judged."""
        card = self._card(request.model)
        named = self._choosing.named_there(card.name)
        if request.query is not None:
            body = ranking_wanted(request, named)
            with self._noticing(card):
                said = await self._client.post(RANKINGS, body, self._headers(request.id), seconds=self._first)
            return read_scores(self._client.who, said, len(request.inputs))
        body = vectors_wanted(request, named)
        with self._noticing(card):
            said = await self._client.post(EMBEDDINGS, body, self._headers(request.id), seconds=self._first)
        return read_vectors(self._client.who, said, len(request.inputs))

    async def tokenize(self, request: TokenizeRequest) -> tuple[Token, ...]:
        """Have text or a chat cut there; llama-server and gateways can do that, and vLLM with chats."""
        card = self._card(request.model)
        model = self._choosing.named_there(card.name)
        return await cut(request, model, self._client.who, partial(self._beside, card), gateway=self._is_gateway)

    async def detokenize(self, model: str, ids: Sequence[int]) -> bytes:
        """Have tokens joined there; halves of characters at the ends are lost."""
        card = self._card(model)
        body = msgspec.json.encode({"model": self._choosing.named_there(card.name), "tokens": list(ids)})
        return read_text(self._client.who, await self._beside(card, "/detokenize", body))

    async def watch(self) -> None:
        """Look again and again until cancelled."""
        while True:
            await self._look()
            self.looked.set()
            with anyio.move_on_after(self._standing.pause()):
                await self._due.wait()
                await anyio.sleep(_BREATH_SECONDS)
            self._due = anyio.Event()

    async def watch_silence(self) -> None:
        """See to it that no request waits for a server that hangs, until cancelled."""
        while True:
            self._client.asked = anyio.Event()
            pause = self._liveness.due()
            if pause > 0:
                with anyio.move_on_after(pause):
                    await (self._client.asked.wait() if pause == math.inf else anyio.sleep_forever())
                continue
            self._liveness.looking()
            headers = current_passage().onward(self._node.id)
            found = await self._client.look(headers, seconds=self._options.sign_seconds)
            hanging = self._liveness.looked(found)
            if self._liveness.suspect:  # so that it gets nothing new, until a look is answered
                self._lost(f"{self._client.who} does not say that it lives")
            if hanging:
                _log.warning("openai.hangs", node=self._choosing.node, requests=len(hanging))
            for waiting in hanging:
                self._client.give_up(waiting)

    async def _look(self) -> None:
        try:
            headers = current_passage().onward(self._node.id)
            body = await self._client.get("/v1/models", headers, seconds=self._options.look_seconds)
            listing = read_listing(body)
        except WireError as error:
            self._standing.missed(f"{self._client.who} sent garbage: {error}")
        except SwarmgateError as error:
            self._standing.missed(str(error))
        except Exception as error:  # noqa: BLE001 -- whatever a strange server provokes, others go on
            self._standing.missed(f"{self._client.who} could not be understood: {type(error).__name__}: {error}")
        else:
            self._liveness.alive()
            gateway = listing.gateway
            self._is_gateway = self._liveness.always = gateway is not None
            self._ping_seconds = gateway.ping_seconds if gateway is not None else 0.0
            if gateway is not None and gateway.name and not self._options.name:
                self._choosing = msgspec.structs.replace(self._choosing, node=gateway.name)
            if gateway is not None and gateway.id == self._node.id:
                self._standing.saw((), f"{self._client.who} is this gateway itself; take it off the list of nodes")
            else:
                self._standing.saw(*cards(listing, self._choosing))
        self._tell()

    def _tell(self) -> None:
        """Log when it has become ready, or is so no longer."""
        health = self.health()
        if health.ready and self._told is not True:
            _log.info("openai.ready", node=self._choosing.node, models=[card.name for card in self.models()])
        elif not health.ready and self._told is not False:
            _log.warning("openai.not_ready", node=self._choosing.node, reason=health.reason)
        self._told = health.ready

    @property
    def _first(self) -> float | None:
        """Return how long an answer may take to begin; a gateway shows meanwhile that it lives."""
        first, idle = self._options.first_seconds, self._options.idle_seconds
        return min(first or idle, idle) if self._is_gateway else first

    def _patience(self, *, begun: bool) -> float | None:
        """Return how long the next bytes of a stream may take, None if as long as they like."""
        return pinged(self._options.idle_seconds if begun else self._first, self._ping_seconds)

    async def _deltas(self, stream: Stream) -> AsyncGenerator[Delta]:
        events, reader = EventReader(), AnswerReader(self._client.who)
        begun = False
        while not reader.done:
            go_on = self._client.next if begun else self._client.first
            chunk = await go_on(stream, seconds=self._patience(begun=begun))
            try:
                found = events.feed(chunk) if chunk else events.close()
            except WireError as error:
                raise EngineError(f"{self._client.who} sent garbage in an answer: {error}") from None
            for data in found:
                delta = reader.take(data)
                if delta is not None:
                    begun = True
                    yield delta
            if not chunk and not reader.done:
                yield reader.end()
        await self._client.tail(stream)

    @contextmanager
    def _noticing(self, card: ModelCard) -> Generator[None]:
        """Learn from what goes wrong with the model of *card*."""
        try:
            yield
        except (Unreachable, ConnectionLost) as error:
            self._lost(str(error))
            raise
        except UnknownModel as error:  # it had it at the last look: others may still have it
            self._due.set()
            raise Unavailable(f"{self._client.who} has lost the model {card.name!r}: {error}") from None

    def _lost(self, reason: str) -> None:
        """Send nothing more there until a look, at once, has found that it is well."""
        self._standing.missed(reason, looked=False)
        self._tell()
        self._due.set()

    async def _beside(self, card: ModelCard, path: str, body: bytes) -> bytes:
        with self._noticing(card):
            return await self._client.post(path, body, self._headers(), seconds=self._first)

    def _headers(self, request_id: str = "", session: str = "") -> dict[str, str]:
        headers = {"Content-Type": "application/json", **current_passage().onward(self._node.id)}
        if self._is_gateway:
            headers["X-Gateway-Tokens"] = "1"
        if request_id:
            headers["X-Request-ID"] = request_id
        if session:
            headers["X-Session-ID"] = _worn(session)
        return headers

    def _card(self, model: str) -> ModelCard:
        served = self.models()
        for card in served:
            if model == card.name or model in card.aliases:
                return card
        names = ", ".join(card.name for card in served) or "none"
        raise UnknownModel(f"{self._client.who} has no model called {model!r}; it has: {names}", param="model")


@asynccontextmanager
async def open_backend(options: OpenAIOptions, node: Node) -> AsyncGenerator[OpenAIBackend]:
    """Begin to look at the server of *options*; the first look is over by then, unless it takes long.

    Raises:
        ConfigError: the options name no server, or no key.

    """
    base = base_of(options.url)
    key = await anyio.to_thread.run_sync(read_key, options)
    liveness = Liveness(silence=options.silence_seconds or None, clock=time.monotonic)
    opened = open_client(base, name_of(base), key=key, connect_seconds=options.connect_seconds, liveness=liveness)
    async with opened as client:
        backend = OpenAIBackend(options, client, liveness, node)
        async with background() as tasks:
            tasks.start_soon(backend.watch)
            tasks.start_soon(backend.watch_silence)
            with anyio.move_on_after(options.connect_seconds):
                await backend.looked.wait()
            yield backend


def read_key(options: OpenAIOptions) -> str:
    """Return the API key that *options* give or name; reads a file.

    Raises:
        ConfigError: the file cannot be read, or holds no key.  The key is not repeated.

    """
    key = options.api_key
    if options.api_key_env:
        key = os.environ.get(options.api_key_env, "").strip()
        if not key:
            raise ConfigError(f"api_key_env: the variable {options.api_key_env} is not set; set it to the node's key")
    if options.api_key_file is not None:
        try:
            lines = Path(options.api_key_file).read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            raise ConfigError(f"api_key_file {options.api_key_file!r} cannot be read: {reason}") from None
        key = next((line.strip() for line in lines if line.strip() and not line.startswith("#")), "")
        if not key:
            raise ConfigError(f"api_key_file {options.api_key_file!r} holds no key; write it in one line")
    if not key.isascii() or any(not letter.isprintable() or letter == " " for letter in key):
        raise ConfigError("api_key: there are characters in it that no key may have; write it without spaces")
    return key


def _worn(session: str) -> str:
    """Return *session* as a header can hold it, the same for the same."""
    if len(session) > _LONGEST_SESSION:
        return hashlib.sha256(session.encode()).hexdigest()
    return session if session.isascii() and session.isprintable() else quote(session)
