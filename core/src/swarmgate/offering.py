"""Offers a service of ours to the swarm: exposed by every transport that can, and standing until it is withdrawn."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import anyio
import msgspec
import structlog

from swarmgate.background import background
from swarmgate.contracts import Ledger, Transport
from swarmgate.errors import Unreachable
from swarmgate.heartbeat import Heartbeat, standing
from swarmgate.listening import is_here
from swarmgate.nouns import Endpoint, Offer, Service
from swarmgate.reaching import UNPROTECTED
from swarmgate.swarm.entries import LONGEST_TEXT, MOST_ADDRESSES, may_offer
from swarmgate.swarm.membership import Membership

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

    The offer is withdrawn before anything else ends.  None is yielded where the member's role forbids the offer, or no
    transport can expose it; the log says which.
    """
    log = _log.bind(service=offer.service, offer=offer.name)
    if not may_offer(membership.role, offer.service):
        log.warning("offering.forbidden", role=membership.role, reason=f"a {membership.role} may not offer this")
        yield None
        return
    async with AsyncExitStack() as stack:
        told: list[tuple[str, ...]] = []
        for scheme, transport in transports.items():
            if scheme in UNPROTECTED:
                continue
            try:
                told.append(await stack.enter_async_context(transport.expose(offer.service, endpoint)))
            except Unreachable as error:
                log.warning("offering.not_exposed", scheme=scheme, reason=str(error))
        addresses = announced(told)
        if not addresses:
            reason = "no transport for members is open: is one installed (tls, p2p), and does it listen?"
            log.warning("offering.unreachable", reason=reason)
            yield None
            return
        made = Offering(ledger, msgspec.structs.replace(offer, addresses=addresses))
        log.info("offering.began", addresses=addresses)
        tasks = await stack.enter_async_context(background())
        tasks.start_soon(made.keep)
        yield made
        await made.withdraw()


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
