"""Offers a service of ours to the swarm: exposed by every transport that can, and standing until it is withdrawn."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import anyio
import msgspec
import structlog

from swarmgate.background import background
from swarmgate.contracts import Ledger, Movable, Transport
from swarmgate.errors import Unreachable
from swarmgate.heartbeat import Heartbeat, standing
from swarmgate.listening import is_here
from swarmgate.nouns import Endpoint, Offer, Service
from swarmgate.reaching import UNPROTECTED
from swarmgate.swarm.entries import LONGEST_TEXT, MOST_ADDRESSES, may_offer
from swarmgate.swarm.membership import Membership

#: How often a transport is asked whether its addresses have changed, in seconds.
LOOKED_SECONDS = 3.0
#: How long an offer that has an address waits for further ones, in seconds: what comes later is posted then.
_OTHERS_SECONDS = 0.5

_log = structlog.get_logger("swarmgate.offering")


class Offering:
    """One offer of ours, which can be withdrawn while what it offers goes on, and be put up again."""

    def __init__(self, ledger: Ledger, offer: Offer) -> None:
        self._ledger = ledger
        self._offer: Offer = offer
        self._wanted: bool = True
        self._heartbeat: Heartbeat | None = None
        self._news, self._settled = anyio.Event(), anyio.Event()

    def __repr__(self) -> str:
        return f"<Offering of {self._offer.service}, {'standing' if self.stands else 'withdrawn'}>"

    @property
    def offer(self) -> Offer:
        """Return the offer, as it was last posted."""
        return self._heartbeat.offer if self._heartbeat is not None else self._offer

    @property
    def stands(self) -> bool:
        """Return whether it is put up now."""
        return self._heartbeat is not None

    def readdress(self, addresses: tuple[str, ...]) -> None:
        """Offer the same at other *addresses*: at once, or as soon as it is put up again."""
        self._offer = msgspec.structs.replace(self._offer, addresses=addresses)
        if self._heartbeat is not None:
            self._heartbeat.readdress(addresses)

    def relabel(self, labels: dict[str, str]) -> None:
        """Offer the same with other *labels*, at once if it stands."""
        if self._heartbeat is not None:
            self._heartbeat.relabel(labels)
        else:
            self._offer = msgspec.structs.replace(self._offer, labels=labels)

    async def withdraw(self) -> None:
        """Take the offer out; return when others are told, or cannot be."""
        await self._settle(wanted=False)

    async def restore(self) -> None:
        """Put the offer up again."""
        await self._settle(wanted=True)

    async def keep(self) -> None:
        """Do what is wanted, until cancelled; the offer is withdrawn then."""
        while True:
            news = self._news
            if self._wanted:
                async with standing(self._ledger, self._offer) as heartbeat:
                    self._heartbeat = heartbeat
                    self._settled.set()
                    await news.wait()
                    self._offer, self._heartbeat = heartbeat.offer, None
                # what was withdrawn up to some sequence is put up again above it
                self._offer = msgspec.structs.replace(self._offer, sequence=self._offer.sequence + 1)
            else:
                self._settled.set()
                await news.wait()

    async def _settle(self, *, wanted: bool) -> None:
        if wanted != self._wanted:
            self._wanted, self._settled = wanted, anyio.Event()
            self._news.set()
            self._news = anyio.Event()
        await self._settled.wait()


@asynccontextmanager
async def offering(
    ledger: Ledger,
    transports: Mapping[str, Transport],
    membership: Membership,
    offer: Offer,
    endpoint: Endpoint,
) -> AsyncGenerator[Offering | None]:
    """Let others reach *endpoint*, and *offer* stand with the addresses they may use, until the block is left.

    The offer is withdrawn before anything else ends.  What a transport tells later, or tells anew, is posted then: a
    slow one keeps nobody waiting for the others.  None is yielded where the member's role forbids the offer, or no
    transport can expose it; the log says which.
    """
    log = _log.bind(service=offer.service, offer=offer.name)
    if not may_offer(membership.role, offer.service):
        log.warning("offering.forbidden", role=membership.role, reason=f"a {membership.role} may not offer this")
        yield None
        return
    async with AsyncExitStack() as stack:
        tasks = await stack.enter_async_context(background())
        exposures = Exposures([scheme for scheme in transports if scheme not in UNPROTECTED])
        for scheme in exposures.awaited:
            tasks.start_soon(_expose, scheme, transports[scheme], offer.service, endpoint, exposures)
        addresses = await exposures.first()
        if not addresses:
            reason = "no transport for members is open: is one installed (tls, p2p), and does it listen?"
            log.warning("offering.unreachable", reason=reason)
            yield None
            return
        made = Offering(ledger, msgspec.structs.replace(offer, addresses=addresses))
        log.info("offering.began", addresses=addresses)
        tasks.start_soon(made.keep)
        tasks.start_soon(_follow, exposures, made)
        yield made
        await made.withdraw()


class Exposures:
    """What the transports told of where a service of ours is, and which of them have said nothing yet."""

    def __init__(self, schemes: Sequence[str]) -> None:
        self.awaited = tuple(schemes)
        self._told: dict[str, tuple[str, ...]] = {}
        self._silent = set(schemes)
        self._news = anyio.Event()

    def __repr__(self) -> str:
        return f"<Exposures by {', '.join(self._told) or 'none'}, {len(self._silent)} awaited>"

    def tell(self, scheme: str, addresses: tuple[str, ...]) -> None:
        """Learn that by *scheme* others reach it at *addresses* now; none if it is not exposed by it."""
        if self._told.get(scheme) != addresses or scheme in self._silent:
            self._told[scheme] = addresses
            self._silent.discard(scheme)
            self._news.set()
            self._news = anyio.Event()

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return which of them stand in an offer."""
        return announced([self._told[scheme] for scheme in self.awaited if scheme in self._told])

    async def first(self) -> tuple[str, ...]:
        """Return the addresses when all have told theirs, or when one has and the others take their time."""
        while self._silent and not self.addresses:
            await self._news.wait()
        with anyio.move_on_after(_OTHERS_SECONDS):
            while self._silent:
                await self._news.wait()
        return self.addresses

    async def changed(self) -> tuple[str, ...]:
        """Wait for news, and return the addresses there are then."""
        await self._news.wait()
        return self.addresses


async def _expose(
    scheme: str, transport: Transport, service: Service, endpoint: Endpoint, exposures: Exposures
) -> None:
    """Hold the service exposed by one transport, and ask where it is as long as it can tell."""
    try:
        async with transport.expose(service, endpoint) as first:
            exposures.tell(scheme, first)
            movable = _movable(transport)
            while movable is not None:
                await anyio.sleep(LOOKED_SECONDS)
                exposures.tell(scheme, await movable.addresses(first[0]))
            await anyio.sleep_forever()
    except Unreachable as error:
        _log.warning("offering.not_exposed", service=service, scheme=scheme, reason=str(error))
        exposures.tell(scheme, ())


def _movable(transport: object) -> Movable | None:
    return transport if isinstance(transport, Movable) else None


async def _follow(exposures: Exposures, made: Offering) -> None:
    """Post the offer anew whenever others find it elsewhere; who is found nowhere stays where it was."""
    while True:
        addresses = exposures.addresses
        if addresses and addresses != made.offer.addresses:
            _log.info("offering.moved", service=made.offer.service, addresses=addresses)
            made.readdress(addresses)
        await exposures.changed()


def announced(told: list[tuple[str, ...]]) -> tuple[str, ...]:
    """Return which of the addresses that each transport *told*, best first, stand in an offer.

    Those that lead nowhere from another machine are left out unless there are no others; each transport gets its share
    of the addresses that an offer may have.
    """
    readable = [[address for address in each if len(address) <= LONGEST_TEXT] for each in told]
    far = [[address for address in each if not _is_loopback(address)] for each in readable]
    chosen = [each for each in (far if any(far) else readable) if each]
    share = max(1, MOST_ADDRESSES // max(1, len(chosen)))
    return tuple(address for each in chosen for address in each[:share])[:MOST_ADDRESSES]


def _is_loopback(address: str) -> bool:
    try:
        host = urlsplit(address).hostname
    except ValueError:
        return False
    return host is not None and is_here(host)


def labelled(**labels: str) -> dict[str, str]:
    """Return those *labels* that say something, each as long as others accept."""
    return {name: value[:LONGEST_TEXT] for name, value in labels.items() if value}


def named(service: Service, names: list[str]) -> str:
    """Return *names* as a label of an offer of *service*: as many as fit, divided by commas."""
    text = ""
    for name in names:
        longer = f"{text}, {name}" if text else name
        if len(longer) > LONGEST_TEXT:
            _log.warning("offering.too_many_names", service=service, count=len(names))
            break
        text = longer
    return text
