"""A ledger that all members keep alike: ours is told to all by gossip, and compared with others' now and then."""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import NamedTuple

import anyio
import msgspec
import structlog
from swarmgate.api import Heard, MemoryLedger, NodeId, Offer, Replica, Service, WireError, background, keep_revocation

from swarmgate_transport_libp2p.addresses import SCHEME, read
from swarmgate_transport_libp2p.messages import Channel
from swarmgate_transport_libp2p.sidecar import Sidecar

#: The most messages that wait to be read; of more, the oldest are dropped, and comparing finds what was in them.
_MOST_WAITING = 1024
#: Who has just come passes on nothing that it was told alone, for so many seconds: it is told the whole book, which all
#: others have.  Of halves that find each other neither has just come.
_NEWCOMER_SECONDS = 15.0


class _Message(NamedTuple):
    """What somebody said; *peer* is empty if it was said to all."""

    peer: NodeId
    data: bytes


class GossipLedger:
    """A copy of the swarm's book.  Only offers of this node are told to others; whatever else is posted stays here.

    :attr:`counts` says how much was dropped of what others said, and why.
    """

    def __init__(
        self,
        sidecar: Sidecar,
        *,
        compare_seconds: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        dice: random.Random | None = None,
    ) -> None:
        self._sidecar, self._membership = sidecar, sidecar.membership
        self._pause, self._clock, self._dice = compare_seconds, clock, dice or random.Random()  # noqa: S311  # no secret
        self._book = MemoryLedger(clock=clock)
        self._replica = Replica(self._membership)
        self._waiting: deque[_Message] = deque(maxlen=_MOST_WAITING)
        self._banished: deque[Offer] = deque()
        self._came_at = clock()
        self._news = anyio.Event()
        self._log = structlog.get_logger("swarmgate.p2p")

    def __repr__(self) -> str:
        return f"<GossipLedger {self._book}>"

    @property
    def counts(self) -> Counter[str]:
        """Return how many messages and entries of others were dropped, by reason."""
        return self._replica.counts

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[GossipLedger]:
        """Keep the copy alike with others' until the block is left."""
        forget = self._membership.revocations.listen(self._revoked)
        self._sidecar.has_ledger = True
        self._sidecar.join()
        for peer in sorted(self._membership.revocations.peers):
            self._spread_revocation(peer)
        try:
            with self._sidecar.attended(self):
                async with background() as tasks:
                    tasks.start_soon(self._read)
                    tasks.start_soon(self._compare)
                    yield self
        finally:
            self._sidecar.has_ledger = False
            forget()

    def offers(self, service: Service) -> tuple[Offer, ...]:
        """Return the live offers of *service*, sorted by key."""
        return self._book.offers(service)

    async def post(self, offer: Offer) -> None:
        """Enter or renew *offer*, and tell all others if it is ours."""
        if offer.node == self._membership.id:
            try:
                message = self._replica.post(offer, self._clock())
            except WireError as error:
                self._log.warning("ledger.not_spread", service=offer.service, offer=offer.name, reason=str(error))
            else:
                self._sidecar.publish(message)
        else:
            self._acquaint(offer)
        await self._book.post(offer)

    async def withdraw(self, offer: Offer) -> None:
        """Take *offer* and all older ones of its key out, and tell all others if it is ours."""
        if offer.node == self._membership.id:
            try:
                self._sidecar.publish(self._replica.withdraw(offer, self._clock()))
            except WireError as error:
                self._log.warning("ledger.not_spread", service=offer.service, offer=offer.name, reason=str(error))
        await self._book.withdraw(offer)

    def watch(self, service: Service) -> AbstractAsyncContextManager[AsyncIterator[tuple[Offer, ...]]]:
        """Yield the whole set of live offers now, and again after it changed."""
        return self._book.watch(service)

    # what others say

    def met(self, peer: NodeId) -> None:
        """Compare books with *peer*, who has just come."""
        self._sidecar.say(peer, "sync", self._replica.digest(self._clock()))

    def parted(self, peer: NodeId) -> None:
        """Leave what *peer* has posted: it may only have lost its way, and lapses by itself."""

    def published(self, data: bytes) -> None:
        """Hear what somebody said to all."""
        self._put(_Message(NodeId(""), data))

    def said(self, peer: NodeId, channel: Channel, data: bytes) -> None:
        """Hear what *peer* said to us alone."""
        if channel == "sync":
            self._put(_Message(peer, data))

    def _put(self, message: _Message) -> None:
        self._waiting.append(message)
        self._news.set()

    async def _read(self) -> None:
        while True:
            await self._news.wait()
            self._news = anyio.Event()
            while self._banished:
                await self._book.withdraw(self._banished.popleft())
            while self._waiting:
                peer, data = self._waiting.popleft()
                received = self._replica.receive(data, self._clock(), direct=bool(peer))
                for heard, stands in received.news:
                    await self._enter(heard, stands)
                for reply in received.replies if peer else ():
                    self._sidecar.say(peer, "sync", reply)
                for message in received.spread if self._clock() - self._came_at >= _NEWCOMER_SECONDS else ():
                    self._sidecar.publish(message)
                await anyio.lowlevel.checkpoint()  # much may wait, and others, too

    async def _enter(self, heard: Heard, stands: float) -> None:
        entry = heard.entry
        if entry.offer is None:
            await keep_revocation(self._sidecar.state_dir, self._membership, heard.data)
        elif entry.kind == "end":
            await self._book.withdraw(entry.offer)
        else:
            self._acquaint(entry.offer)
            await self._book.post(msgspec.structs.replace(entry.offer, lifetime=stands))

    def _acquaint(self, offer: Offer) -> None:
        """Connect to whoever made *offer*, if it says where that is: the more are connected, the less is lost."""
        for address in offer.addresses:
            if address.startswith(f"{SCHEME}://"):
                try:
                    where = read(address)
                except WireError:
                    continue
                if where.peer == offer.node:
                    self._sidecar.know(where.peer, where.hints)

    def _revoked(self, peer: NodeId) -> None:
        self._banished.extend(self._replica.banish(peer))
        self._news.set()
        self._spread_revocation(peer)

    def _spread_revocation(self, peer: NodeId) -> None:
        """Tell all others that *peer* is revoked, by the entry that says so."""
        entry = self._membership.revocations.entry(peer)
        try:
            message = self._replica.enter(entry, self._clock()) if entry else None
        except WireError as error:  # its owner is revoked by now; whoever heard it before holds to it
            self._log.warning("ledger.not_spread", node=peer, reason=str(error))
            return
        if message is not None:
            self._sidecar.publish(message)

    async def _compare(self) -> None:
        while True:
            await anyio.sleep(self._pause)
            if self._sidecar.connected:
                peer = self._dice.choice(sorted(self._sidecar.connected))
                self._sidecar.say(peer, "sync", self._replica.digest(self._clock()))
