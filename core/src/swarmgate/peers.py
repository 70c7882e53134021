"""Other gateways as backends, for as long as they are offered and a while longer.

Which part asks them is the configuration's choice; this room only opens one for each gateway, and
tells whoever sends requests of it.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio
import msgspec
import structlog
from anyio.abc import TaskGroup

from swarmgate.background import background
from swarmgate.contracts import Backend
from swarmgate.distant import Distant
from swarmgate.errors import ConfigError, SwarmgateError
from swarmgate.nouns import Endpoint, NodeId, Offer, Worker
from swarmgate.parts import Options
from swarmgate.rota import Key
from swarmgate.swarm.credential import RUN

#: Opens what asks the gateway of an offer.
OpenPeer = Callable[[Worker], AbstractAsyncContextManager[Backend]]
#: Has a path held to the gateway with a key, for as long as the block.
Used = Callable[[Key], AbstractContextManager[None]]
_LONGEST_PAUSE = 30.0
#: How often a member is looked at, in seconds: it tells by its offer when its models change.
_REFRESH_SECONDS = 30.0


@contextmanager
def _not_used(_key: Key) -> Generator[None]:
    """Leave it as it is: a path is held in any case."""
    yield


def peer_options(
    kind: type[Options], url: str, api_key_file: str | None = None, *, credential: str | None = None
) -> Options:
    """Return the options, of that *kind*, with which a part asks the gateway at *url*.

    A *credential* is shown in the place of an API key, to a part that has an ``api_key`` to set; else that of
    *api_key_file*.  Who takes a credential says in its offer what it has, and need not be looked at as often as others.

    Raises:
        ConfigError: a part of that kind cannot be told where to ask.

    """
    given: dict[str, Any] = {"url": url}
    if credential is not None and "refresh_seconds" in kind.__struct_fields__:
        given["refresh_seconds"] = _REFRESH_SECONDS
    if credential is not None and "api_key" in kind.__struct_fields__:
        given["api_key"] = credential
    elif api_key_file is not None:
        given["api_key_file"] = api_key_file
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(f"the part that peer_backend names cannot ask {url}: {error}") from None


@dataclass(eq=False, slots=True)
class _Peer:
    """One gateway: *worker* is None while no path to it is held, *left_at* when its offer went, if it did."""

    offer: Offer
    worker: Worker | None
    left_at: float | None = None
    news: anyio.Event = field(default_factory=anyio.Event)

    @property
    def asked_at(self) -> tuple[Endpoint, str | None] | None:
        """Return where it is asked, and which run of it: for another of either another backend is needed."""
        return None if self.worker is None else (self.worker.endpoint, self.worker.offer.labels.get(RUN))

    def stir(self) -> None:
        self.news.set()
        self.news = anyio.Event()


class Peers:
    """Keeps a backend open for each gateway that is offered, except the one called *me*.

    *enter* takes a backend in and returns what it is called, *leave* lets go of it.  A gateway whose offer
    lapsed is kept for *linger_seconds*: its models are still known, and requests for them wait.
    """

    def __init__(
        self,
        opener: OpenPeer,
        enter: Callable[[str, Backend], str],
        leave: Callable[[str], None],
        *,
        me: NodeId,
        linger_seconds: float = 60.0,
    ) -> None:
        self._open = opener
        self._enter = enter
        self._leave = leave
        self._me = me
        self._linger = linger_seconds
        self._used: Used = _not_used
        self._peers: dict[Key, _Peer] = {}

    def __repr__(self) -> str:
        return f"<Peers {len(self._peers)} known>"

    async def follow(
        self,
        crews: AsyncIterator[tuple[Worker, ...]],
        announced: Callable[[], tuple[Offer, ...]] = tuple,
        used: Used = _not_used,
    ) -> None:
        """Do so as *crews* says, until cancelled.

        *announced* returns who is offered and no path held to, and *used* has one held while somebody asks.
        """
        self._used = used
        async with background() as tasks:
            async for crew in crews:
                found: dict[Key, tuple[Offer, Worker | None]] = {offer.key: (offer, None) for offer in announced()}
                found |= {worker.offer.key: (worker.offer, worker) for worker in crew}
                self._take({key: each for key, each in found.items() if key[0] != self._me}, tasks)

    def _take(self, found: Mapping[Key, tuple[Offer, Worker | None]], tasks: TaskGroup) -> None:
        for key, peer in self._peers.items():
            if key not in found and peer.left_at is None:
                peer.left_at = anyio.current_time()
                peer.stir()
        for key, (offer, worker) in found.items():
            peer = self._peers.get(key)
            if peer is None:
                peer = self._peers[key] = _Peer(offer, worker)
                tasks.start_soon(self._follow_one, key, peer)
            elif (peer.offer, peer.worker, peer.left_at) != (offer, worker, None):
                peer.offer, peer.worker, peer.left_at = offer, worker, None
                peer.stir()

    async def _follow_one(self, key: Key, peer: _Peer) -> None:
        try:
            await self._hold(peer)
            while peer.left_at is None:  # it came back while it was let go of
                await self._hold(peer)
        finally:
            del self._peers[key]

    async def _hold(self, peer: _Peer) -> None:
        log = structlog.get_logger("swarmgate.peers").bind(node=peer.offer.node, offer=peer.offer.name)
        distant = Distant(peer.offer, partial(self._used, peer.offer.key))
        async with AsyncExitStack() as stack:
            name = ""

            def enter() -> None:
                nonlocal name
                if not name:
                    name = self._enter(peer.offer.name, distant)
                    stack.callback(log.info, "peers.left")
                    stack.callback(self._leave, name)
                    log.info("peers.joined", endpoint=str(peer.worker.endpoint) if peer.worker else "")

            stack.callback(distant.lose, "it is there no longer")
            pause = 1.0
            while True:
                try:
                    if peer.worker is None:
                        enter()
                        await self._rest(peer, distant)
                    else:
                        async with self._open(peer.worker) as backend:
                            await self._use(peer, distant, backend, enter)
                    if peer.left_at is not None:
                        return
                    continue
                except SwarmgateError as error:
                    log.warning("peers.failed", reason=str(error), seconds=pause)
                    distant.lose(str(error))
                await anyio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def _rest(self, peer: _Peer, distant: Distant) -> None:
        """Wait until a path to *peer* is held, or its offer has been gone for long enough."""
        distant.rest()
        while peer.worker is None:
            if peer.left_at is not None:
                distant.lose("it cannot be reached, or is offered no longer")
            if not await self._news(peer, distant):
                return

    async def _use(self, peer: _Peer, distant: Distant, backend: Backend, enter: Callable[[], None]) -> None:
        """Let *backend* answer until no path to *peer* is held any more, or its offer has been gone for long enough.

        Another path, or another run, needs another backend.  Its models stay known meanwhile: answers go on there.
        """
        asked_at = peer.asked_at
        with distant.answering_by(backend):
            enter()
            while peer.worker is not None and peer.asked_at == asked_at:
                if not await self._news(peer, distant):
                    return
                if peer.left_at is not None:  # else it would pass for ready until its next look
                    distant.doubt()

    async def _news(self, peer: _Peer, distant: Distant) -> bool:
        """Wait until something has changed; return whether it may still be of use."""
        news = peer.news
        until = math.inf if peer.left_at is None else peer.left_at + self._linger
        with anyio.move_on_after(until - anyio.current_time()):
            await news.wait()
            distant.announce(peer.offer)
            return True
        return False
