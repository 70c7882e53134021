"""Finds members by the DHT, and supplies the ledger with what they offer."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import anyio
import structlog
from swarmgate.api import (
    GATEWAY,
    LLAMA_RPC,
    Entry,
    Ledger,
    NodeId,
    Offer,
    Service,
    WireError,
    background,
    open_entry,
    sign_entry,
)

from swarmgate_transport_libp2p.messages import Channel
from swarmgate_transport_libp2p.sidecar import Sidecar

_SERVICES: tuple[Service, ...] = (GATEWAY, LLAMA_RPC)
#: What asks a peer for all it offers; every other message is an entry.
_QUESTION = b""
#: The most entries of others that wait to be read.
_MOST_WAITING = 4096


class DhtDiscovery:
    """Connects whoever is found; where no gossip ledger spreads the offers, members tell one another theirs here.

    What is told is an entry of the ledger's form, signed by its member, and read as strictly.
    """

    def __init__(self, sidecar: Sidecar, *, disable_dht: bool = False) -> None:
        self._sidecar, self._membership = sidecar, sidecar.membership
        self._disabled = disable_dht
        self._ours: dict[tuple[Service, str], Offer] = {}
        self._waiting: deque[bytes] = deque(maxlen=_MOST_WAITING)
        self._news = anyio.Event()
        self._log = structlog.get_logger("swarmgate.p2p")

    def __repr__(self) -> str:
        return f"<DhtDiscovery{', its dht disabled' if self._disabled else ''}, {len(self._ours)} offers of ours>"

    async def run(self, ledger: Ledger) -> None:
        """Look for members and supply *ledger* with their offers until cancelled."""
        if not self._disabled:
            self._sidecar.seek()
        self._ours.clear()
        with self._sidecar.attended(self):
            async with background() as tasks:
                for service in () if self._sidecar.has_ledger else _SERVICES:  # which tells what is ours, to all
                    tasks.start_soon(self._tell_ours, ledger, service)
                await self._enter(ledger)

    def met(self, peer: NodeId) -> None:
        """Ask *peer*, who has just come, what it offers."""
        if not self._sidecar.has_ledger:
            self._sidecar.say(peer, "offers", _QUESTION)

    def parted(self, peer: NodeId) -> None:
        """Leave what *peer* offers: it may only have lost its way, and lapses by itself."""

    def published(self, data: bytes) -> None:
        """Leave what is said to all to the ledger."""

    def said(self, peer: NodeId, channel: Channel, data: bytes) -> None:
        """Hear what *peer* offers, or that it asks what we do."""
        if channel != "offers" or self._sidecar.has_ledger:
            return
        if data == _QUESTION:
            for offer in self._ours.values():
                self._tell(Entry(kind="offer", offer=offer), (peer,))
        else:
            self._waiting.append(data)
            self._news.set()

    async def _tell_ours(self, ledger: Ledger, service: Service) -> None:
        async with ledger.watch(service) as sets:
            async for offers in sets:
                ours = {offer.name: offer for offer in offers if offer.node == self._membership.id}
                for name in [name for kind, name in self._ours if kind == service and name not in ours]:
                    gone = self._ours.pop((service, name))
                    self._tell(Entry(kind="end", offer=gone), self._sidecar.connected)
                for name, offer in ours.items():
                    if self._ours.get((service, name)) != offer:
                        self._ours[service, name] = offer
                        self._tell(Entry(kind="offer", offer=offer), self._sidecar.connected)

    def _tell(self, entry: Entry, peers: Iterable[NodeId]) -> None:
        if self._sidecar.has_ledger:
            return  # which has told it already, to all
        try:
            data = sign_entry(self._membership, entry)
        except WireError as error:
            self._log.warning("discovery.not_told", part="dht", reason=str(error))
            return
        for peer in peers:
            self._sidecar.say(peer, "offers", data)

    async def _enter(self, ledger: Ledger) -> None:
        while True:
            await self._news.wait()
            self._news = anyio.Event()
            while self._waiting:
                try:
                    entry = open_entry(self._membership, self._waiting.popleft()).entry
                except WireError as error:
                    self._log.info("discovery.entry_refused", part="dht", reason=str(error))
                    continue
                if entry.kind == "offer" and entry.offer is not None:
                    await ledger.post(entry.offer)
                elif entry.kind == "end" and entry.offer is not None:
                    await ledger.withdraw(entry.offer)
