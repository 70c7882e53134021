"""Other gateways as backends, for as long as they are offered and a while longer.

Which part asks them is the configuration's choice; this room only opens one for each gateway, and
tells whoever sends requests of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

import anyio
import msgspec
import structlog
from anyio.abc import TaskGroup

from swarmgate.background import background
from swarmgate.contracts import Backend
from swarmgate.errors import ConfigError, SwarmgateError
from swarmgate.nouns import NodeId, Service, Worker
from swarmgate.parts import Options
from swarmgate.swarm.credential import RUN

#: Opens what asks the gateway of an offer.
OpenPeer = Callable[[Worker], AbstractAsyncContextManager[Backend]]
_Key = tuple[NodeId, Service, str]
_LONGEST_PAUSE = 30.0


def peer_options(
    kind: type[Options], url: str, api_key_file: str | None = None, *, credential: str | None = None
) -> Options:
    """Return the options, of that *kind*, with which a part asks the gateway at *url*.

    A *credential* is shown in the place of an API key, to a part that has an ``api_key`` to set; else that of
    *api_key_file*.

    Raises:
        ConfigError: a part of that kind cannot be told where to ask.

    """
    given = {"url": url}
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
    """One gateway: *left_at* is when its offer went, None while it stands."""

    worker: Worker
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    left_at: float | None = None
    news: anyio.Event = field(default_factory=anyio.Event)
    ended: anyio.Event = field(default_factory=anyio.Event)

    def is_still(self, worker: Worker) -> bool:
        """Return whether *worker* is the same run of the same gateway, at the same endpoint."""
        before = self.worker
        runs = (before.offer.labels.get(RUN), worker.offer.labels.get(RUN))
        return before.endpoint == worker.endpoint and runs[0] == runs[1]

    def stir(self, left_at: float | None) -> None:
        self.left_at = left_at
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
        self._peers: dict[_Key, _Peer] = {}

    def __repr__(self) -> str:
        return f"<Peers {len(self._peers)} known>"

    async def follow(self, crews: AsyncIterator[tuple[Worker, ...]]) -> None:
        """Do so as *crews* says, until cancelled."""
        async with background() as tasks:
            async for crew in crews:
                self._take(crew, tasks)

    def _take(self, crew: tuple[Worker, ...], tasks: TaskGroup) -> None:
        standing = {worker.offer.key: worker for worker in crew if worker.offer.node != self._me}
        for key, peer in self._peers.items():
            if key not in standing and peer.left_at is None:
                peer.stir(left_at=anyio.current_time())
        for key, worker in standing.items():
            peer = self._peers.get(key)
            if peer is not None and peer.is_still(worker):
                if peer.left_at is not None:
                    peer.stir(left_at=None)
                continue
            if peer is not None:
                peer.scope.cancel()
            before, self._peers[key] = peer, _Peer(worker)
            tasks.start_soon(self._follow_one, key, self._peers[key], before)

    async def _follow_one(self, key: _Key, peer: _Peer, before: _Peer | None) -> None:
        """Hold *peer* open once the one *before* it, which had its name, has ended."""
        if before is not None:
            await before.ended.wait()
        try:
            await self._hold(peer)
        finally:
            peer.ended.set()
            if self._peers.get(key) is peer:
                del self._peers[key]

    async def _hold(self, peer: _Peer) -> None:
        offer = peer.worker.offer
        log = structlog.get_logger("swarmgate.peers").bind(node=offer.node, offer=offer.name)
        pause = 1.0
        with peer.scope:
            while True:
                try:
                    async with self._open(peer.worker) as backend:
                        name = self._enter(offer.name, backend)
                        log.info("peers.joined", endpoint=str(peer.worker.endpoint))
                        try:
                            await self._until_gone(peer)
                        finally:
                            self._leave(name)
                            log.info("peers.left")
                    break
                except SwarmgateError as error:
                    log.warning("peers.failed", reason=str(error), seconds=pause)
                await anyio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def _until_gone(self, peer: _Peer) -> None:
        """Wait until the offer has been gone for long enough."""
        while True:
            news, left_at = peer.news, peer.left_at
            if left_at is None:
                await news.wait()
                continue
            with anyio.move_on_after(left_at + self._linger - anyio.current_time()):
                await news.wait()
                continue
            return
