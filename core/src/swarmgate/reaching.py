"""Reaches offers by whichever of their addresses works first, and holds the path."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup
from msgspec.structs import replace

from swarmgate.background import background
from swarmgate.contracts import Transport
from swarmgate.errors import Unreachable, WireError
from swarmgate.eyeballs import HEAD_START, Race, Ranking
from swarmgate.nouns import Endpoint, Offer, Way, Worker
from swarmgate.roster import Member, Standing
from swarmgate.swarm.peerids import public_key_of


@dataclass(frozen=True, slots=True)
class Reached:
    """A path that is held: its local end, and by which of the offer's addresses it goes."""

    endpoint: Endpoint
    address: str
    transport: Transport

    @property
    def way(self) -> Way | None:
        """Return how it goes at the moment, None if its transport does not say."""
        return next((way for way in self.transport.ways() if way.address == self.address), None)

    @property
    def kind(self) -> str:
        """Return whether it goes directly or is relayed, empty if nobody knows."""
        return self.way.kind if self.way else ""

    def named(self, text: str, offer: Offer) -> str:
        """Return *text* with where *offer* is in the place of our end of the path, which tells people nothing."""
        here = str(self.endpoint)
        return text if here in self.address else text.replace(here, shortly(self.address, offer))

    def __str__(self) -> str:
        """Return how it goes, for people."""
        return f"{self.address} ({self.kind or 'nobody knows which way'})"


@dataclass(eq=False, slots=True)
class Path:
    """The way to one offer; there is a *worker* while it can be used, which counts from *ready_at* on.

    *displaced* says why it was given up for another way to the same worker, *announced* that nothing was held at first.
    """

    offer: Offer
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    standing: Standing = "announced"
    announced: bool = False
    reason: str = ""
    reached: Reached | None = None
    worker: Worker | None = None
    using: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    displaced: str = ""
    joined_at: float = 0.0
    ready_at: float = 0.0
    retry_at: float | None = None
    left_at: float | None = None

    def member(self, now: float) -> Member:
        """Return who offers it, as seen at the time *now*."""
        seen = 0.0 if self.worker is not None else None if self.left_at is None else now - self.left_at
        return Member(
            offer=self.offer,
            standing=self.standing,
            reason=self.reason,
            endpoint=self.worker.endpoint if self.worker else None,
            labels=self.worker.offer.labels if self.worker else self.offer.labels,
            retry_seconds=None if self.retry_at is None else max(self.retry_at - now, 0.0),
            address=as_offered(self.reached.address, self.offer) if self.reached else "",
            way=self._way(),
            seen_seconds=seen,
        )

    def _way(self) -> Way | None:
        """Return how it goes, by the address as it is offered now: it may have begun with another hint."""
        way = self.reached.way if self.reached else None
        return None if way is None else replace(way, address=as_offered(way.address, self.offer))


#: Schemes of transports that anybody on the way can read, and pretend to be the far end of.  They are for addresses
#: that somebody wrote on a list: members are neither offered nor reached by them.
UNPROTECTED = frozenset({"tcp"})
#: Holds the best path to an offer open.
Reach = Callable[[Offer], AbstractAsyncContextManager[Reached]]


def by_scheme(transports: Mapping[str, Transport], *, head_start: float = HEAD_START) -> Reach:
    """Reach an offer by the first of its addresses that a transport understands and can open.

    They are tried in the offer's order, each *head_start* seconds after the one before or as soon as that has failed.
    What stood before is tried first; what was lost, because the block was left with Unreachable, is tried last.
    A member of a swarm, whose id is a peer id, is reached by transports that make sure of that, and no others.
    """
    ranking = Ranking()

    @asynccontextmanager
    async def reach(offer: Offer) -> AsyncGenerator[Reached]:
        usable = _protected(transports) if _is_members(offer) else transports
        understood = {address: _of(address, usable) for address in ranking.order(offer)}
        tries = _Tries({address: each for address, each in understood.items() if each is not None}, head_start)
        async with background() as tasks:
            reached = await tries.first(tasks)
            if reached is None:
                ranking.forget(offer)
                known = ", ".join(usable) or "nothing"
                strange = {address: _strange(address, known) for address, each in understood.items() if each is None}
                faults = strange | tries.faults
                reasons = (_about(address, offer, faults[address]) for address in dict.fromkeys(offer.addresses))
                raise Unreachable("; ".join(reasons) or f"{offer.node} offers no address")
            ranking.stood(offer, reached.address)
            try:
                yield reached
            except Unreachable:
                ranking.lost(offer, reached.address)
                raise
            finally:
                await tries.end()

    return reach


def noting_tunnels(reach: Reach, tunnels: set[Endpoint]) -> Reach:
    """Reach as *reach* does; the local ends of the paths that a protected transport holds are in *tunnels* meanwhile.

    Such a transport notices by itself when the other side falls silent, and ends what goes through the path.
    """

    @asynccontextmanager
    async def reach_and_note(offer: Offer) -> AsyncGenerator[Reached]:
        async with reach(offer) as reached:
            if reached.address.partition("://")[0] in UNPROTECTED:
                yield reached
                return
            tunnels.add(reached.endpoint)
            try:
                yield reached
            finally:
                tunnels.discard(reached.endpoint)

    return reach_and_note


class _Tries:
    """Tries addresses, each in a task of its own, in which the path that wins is held until :meth:`end`."""

    def __init__(self, transports: Mapping[str, Transport], head_start: float) -> None:
        self.faults: dict[str, str] = {}
        self._transports = transports
        self._race = Race(tuple(transports), head_start=head_start)
        self._scopes: dict[str, anyio.CancelScope] = {}
        self._reached: Reached | None = None
        self._news = anyio.Event()
        self._over, self._ended = anyio.Event(), anyio.Event()

    async def first(self, tasks: TaskGroup) -> Reached | None:
        """Return the first path that can be opened, None if there is none."""
        while self._reached is None and not self._race.over:
            news, now = self._news, anyio.current_time()
            if (address := self._race.begin(now)) is not None:
                self._scopes[address] = anyio.CancelScope()
                tasks.start_soon(self._try, address)
                continue
            with anyio.move_on_after(self._race.due - now):
                await news.wait()
        return self._reached

    async def end(self) -> None:
        """Leave the path, and wait until it is left."""
        self._over.set()
        await self._ended.wait()

    async def _try(self, address: str) -> None:
        transport = self._transports[address]
        with self._scopes[address]:
            try:
                async with transport.reach(address) as endpoint:
                    if self._reached is not None:
                        return  # at the same moment as another
                    self._reached = Reached(endpoint, address, transport)
                    self._stir()
                    for other, scope in self._scopes.items():
                        if other != address:
                            scope.cancel()
                    await self._over.wait()
            except Unreachable as error:
                if self._reached is not None and self._reached.address == address:
                    raise  # its transport has lost it
                self.faults[address] = str(error)
                self._race.failed(address)
                self._stir()
            finally:
                if self._reached is not None and self._reached.address == address:
                    self._ended.set()

    def _stir(self) -> None:
        self._news.set()
        self._news = anyio.Event()


def shortly(address: str, offer: Offer) -> str:
    """Return *address* of *offer* for people who see whose it is: ``10.0.0.5:7479 (tls)``; one on a list whole."""
    scheme, _, rest = address.partition("://")
    where = rest.partition("?")[0].partition("/")[0]
    if not _is_members(offer) or not where.startswith(offer.node):
        return address
    host = where.removeprefix(offer.node).removeprefix("@")
    return f"{host} ({scheme})" if host else scheme


def as_offered(address: str, offer: Offer) -> str:
    """Return *address* with the hints that *offer* has for it now, as it is if they are there still or it is not."""
    if address in offer.addresses:
        return address
    bare = address.partition("?")[0]
    return next((each for each in offer.addresses if each.partition("?")[0] == bare), address)


def _is_members(offer: Offer) -> bool:
    try:
        public_key_of(offer.node)
    except WireError:
        return False
    return True


def _protected(transports: Mapping[str, Transport]) -> dict[str, Transport]:
    return {scheme: transport for scheme, transport in transports.items() if scheme not in UNPROTECTED}


def _of(address: str, transports: Mapping[str, Transport]) -> Transport | None:
    scheme, divided, _ = address.partition("://")
    return transports.get(scheme) if divided else None


def _about(address: str, offer: Offer, fault: str) -> str:
    """Return *fault* with the *address* of *offer* that it is about, once: it may name it itself."""
    rest = fault.removeprefix(address)
    if rest == fault and address in fault:
        return fault
    if rest != fault:
        rest = rest.removeprefix(" cannot be reached").removeprefix(": ")
    return f"{shortly(address, offer)}: {rest}"


def _strange(address: str, known: str) -> str:
    scheme = address.partition("://")[0]
    if scheme in UNPROTECTED:
        return f"plain {scheme} is not for members of a swarm; list the address as static if you trust that network"
    return f"no transport for {scheme!r}, only for {known}"
