"""Announces what this node offers on the LAN, and posts what other members announce."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import msgspec
import structlog
from swarmgate.api import (
    GATEWAY,
    LLAMA_RPC,
    Heard,
    Ledger,
    Membership,
    NodeId,
    Offer,
    Replica,
    Service,
    WireError,
    background,
    keep_revocation,
)

from swarmgate_discovery_mdns.network import Network, interfaces_here
from swarmgate_discovery_mdns.notices import Notices
from swarmgate_discovery_mdns.txt import from_txt

#: What is announced and looked for.
_SERVICES = (GATEWAY, LLAMA_RPC)
#: How often it is looked whether this machine's addresses are still the same, in seconds: a laptop moves.
_LOOK_SECONDS = 5.0
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
#: What ending our offers may take, in seconds, when we are told to stop.
_LAST_WORDS_SECONDS = 2.0
_NAME_BYTES = 8


class MdnsDiscovery:
    """Multicast DNS for the members of one swarm.

    Silence is noticed when an offer lapses: *lifetime_seconds* after it was last announced.  It speaks by *interfaces*,
    or, without any, by what *look* finds, every *look_seconds*.
    """

    def __init__(
        self,
        membership: Membership,
        state_dir: Path,
        *,
        interfaces: Sequence[str] = (),
        lifetime_seconds: float = 120.0,
        look: Callable[[], tuple[str, ...]] = interfaces_here,
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        self._membership = membership
        self._state_dir = state_dir
        self._look = look if not interfaces else lambda: tuple(interfaces)
        self._look_seconds = look_seconds
        self._lifetime = lifetime_seconds
        self._log = structlog.get_logger("swarmgate.discovery_mdns")

    def __repr__(self) -> str:
        return f"<MdnsDiscovery of {self._membership.id}>"

    async def run(self, ledger: Ledger) -> None:
        """Announce and listen until cancelled, on whatever addresses this machine has at the moment.

        What we offer ends when this does, and not when the machine moves: it is announced anew where it is then.
        """
        replica = Replica(self._membership)  # one for all addresses: what was heard once is not news again
        ours = _Ours(self._notices(replica))
        async with self._without_revoked(replica, ledger), self._watched(ours, ledger):
            pause = _FIRST_PAUSE
            while True:
                here = self._look()
                try:
                    async with Network.opened(here) as network:
                        self._log.info("mdns.opened", interfaces=list(here))
                        pause = _FIRST_PAUSE
                        await self._serve(network, ours, replica, ledger, here)
                except OSError as error:
                    self._log.warning("mdns.failed", reason=str(error), seconds=pause)
                    await anyio.sleep(pause)
                    pause = min(pause * 2, _LONGEST_PAUSE)

    async def _serve(
        self, network: Network, ours: _Ours, replica: Replica, ledger: Ledger, here: Sequence[str]
    ) -> None:
        """Announce and listen by *network* until this machine is no longer *here*, or all that we offer ends."""
        ours.notices.forget_told()
        try:
            async with background() as tasks:
                tasks.start_soon(self._listen, network, replica, ledger)
                tasks.start_soon(self._announce, network, ours)
                await self._until_moved(here)
        except anyio.get_cancelled_exc_class():
            with anyio.move_on_after(_LAST_WORDS_SECONDS, shield=True):
                await self._tell(network, ours.notices, ())
            raise

    async def _until_moved(self, here: Sequence[str]) -> None:
        while self._look() == here:  # noqa: ASYNC110  # nobody tells of it
            await anyio.sleep(self._look_seconds)

    @asynccontextmanager
    async def _without_revoked(self, replica: Replica, ledger: Ledger) -> AsyncGenerator[None]:
        """Take out of *ledger* what a revoked peer had offered, meanwhile."""
        async with background() as tasks:

            async def take_out(offers: tuple[Offer, ...]) -> None:
                for offer in offers:
                    await ledger.withdraw(offer)

            def banish(peer: NodeId) -> None:
                tasks.start_soon(take_out, replica.banish(peer))

            forget = self._membership.revocations.listen(banish)
            try:
                yield
            finally:
                forget()

    async def _listen(self, network: Network, replica: Replica, ledger: Ledger) -> None:
        async with aclosing(network.heard()) as records:
            async for txt in records:
                try:
                    message = from_txt(txt)
                except WireError as error:
                    self._log.debug("mdns.dropped", reason=str(error))
                    continue
                before = replica.counts.total()
                for heard, stands in replica.receive(message, time.monotonic(), direct=False).news:
                    await self._post(ledger, heard, stands)
                if replica.counts.total() > before:
                    self._log.debug("mdns.dropped", **replica.counts)

    async def _post(self, ledger: Ledger, heard: Heard, stands: float) -> None:
        entry = heard.entry
        if entry.kind == "revoke":
            await keep_revocation(self._state_dir, self._membership, heard.data)
        elif entry.offer is not None and heard.peer.id != self._membership.id:
            offer = msgspec.structs.replace(entry.offer, lifetime=stands)
            await (ledger.post(offer) if entry.kind == "offer" else ledger.withdraw(offer))

    def _notices(self, replica: Replica) -> Notices:
        return Notices(
            self._membership,
            replica,
            lifetime_seconds=self._lifetime,
            draw=lambda: secrets.token_hex(_NAME_BYTES),
        )

    @asynccontextmanager
    async def _watched(self, ours: _Ours, ledger: Ledger) -> AsyncGenerator[None]:
        """Keep *ours* in step with what this node offers, and with who is revoked, meanwhile."""

        async def watch(service: Service) -> None:
            async with ledger.watch(service) as sets:
                async for offers in sets:
                    ours.put(service, [offer for offer in offers if offer.node == self._membership.id])

        forget = self._membership.revocations.listen(lambda _: ours.stir())
        try:
            async with background() as tasks:
                for service in _SERVICES:
                    tasks.start_soon(watch, service)
                yield
        finally:
            forget()

    async def _announce(self, network: Network, ours: _Ours) -> None:
        while True:
            news = ours.news
            await self._tell(network, ours.notices, ours.offers)
            renewal = ours.notices.next_renewal()
            with anyio.move_on_after(None if renewal is None else renewal - time.monotonic()):
                await news.wait()

    async def _tell(self, network: Network, notices: Notices, offers: Sequence[Offer]) -> None:
        refused, now = dict(notices.refused), time.monotonic()
        async with anyio.create_task_group() as tasks:
            for notice in (*notices.revoked(self._membership.revocations.entries, now), *notices.take(offers, now)):
                tell = partial(network.announce, last=notice.last)
                tasks.start_soon(tell, notice.name, notice.txt, notice.addresses)
        for name in notices.refused.keys() - refused.keys():
            self._log.warning("mdns.not_announced", offer=name, reason=notices.refused[name])


class _Ours:
    """What this node offers, and how much of it has been announced; *news* tells of changes."""

    def __init__(self, notices: Notices) -> None:
        self.notices = notices
        self.news = anyio.Event()
        self._offers: dict[Service, Sequence[Offer]] = {}

    def __repr__(self) -> str:
        return f"<_Ours: {len(self.offers)} offers>"

    @property
    def offers(self) -> Sequence[Offer]:
        """Return what this node offers now."""
        return [offer for offers in self._offers.values() for offer in offers]

    def put(self, service: Service, offers: Sequence[Offer]) -> None:
        """Learn that of *service* this node offers *offers* now."""
        self._offers[service] = offers
        self.stir()

    def stir(self) -> None:
        """Have it looked at anew what is to be announced."""
        self.news.set()
        self.news = anyio.Event()
