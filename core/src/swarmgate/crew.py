"""The crew: workers that can be reached right now, held reachable for as long as they stand."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import anyio
import structlog
from anyio.abc import TaskGroup

from swarmgate.background import background
from swarmgate.contracts import Ledger, Transport
from swarmgate.errors import Unreachable
from swarmgate.nouns import Endpoint, NodeId, Offer, Service, Worker

#: Holds the best path to an offer open.
Reach = Callable[[Offer], AbstractAsyncContextManager[Endpoint]]
_Key = tuple[NodeId, Service, str]
_LONGEST_PAUSE = 30.0


def by_scheme(transports: Mapping[str, Transport]) -> Reach:
    """Reach an offer by the first of its addresses that a transport understands and can open."""

    @asynccontextmanager
    async def reach(offer: Offer) -> AsyncGenerator[Endpoint]:
        faults: list[str] = []
        for address in offer.addresses:
            scheme, _, _ = address.partition("://")
            if scheme not in transports:
                faults.append(f"{address}: no transport for {scheme!r}, only for {', '.join(transports) or 'nothing'}")
                continue
            async with AsyncExitStack() as stack:
                try:
                    endpoint = await stack.enter_async_context(transports[scheme].reach(address))
                except Unreachable as error:
                    faults.append(f"{address}: {error}")
                    continue
                yield endpoint
                return
        raise Unreachable("; ".join(faults) or f"{offer.node} offers no address")

    return reach


@dataclass(eq=False, slots=True)
class _Path:
    """The way to one offer: being opened, open (then there is a worker), or given up for a while."""

    offer: Offer
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    worker: Worker | None = None


class _Muster:
    """Keeps a path to each standing offer open, and says when the set of open ones has changed."""

    def __init__(self, reach: Reach, pause: float) -> None:
        self._reach = reach
        self._pause = pause
        self._paths: dict[_Key, _Path] = {}
        self.changed = anyio.Event()

    @property
    def crew(self) -> tuple[Worker, ...]:
        """Return who can be reached now, sorted by key."""
        return tuple(path.worker for _, path in sorted(self._paths.items()) if path.worker is not None)

    async def follow(self, ledger: Ledger, service: Service, tasks: TaskGroup) -> None:
        async with ledger.watch(service) as sets:
            async for offers in sets:
                self._take(offers, tasks)

    def _take(self, offers: tuple[Offer, ...], tasks: TaskGroup) -> None:
        standing = {offer.key: offer for offer in offers}
        for key in self._paths.keys() - standing.keys():
            self._drop(self._paths.pop(key))
        for key, offer in standing.items():
            path = self._paths.get(key)
            if path is not None and path.offer.addresses == offer.addresses:
                self._renew(path, offer)
                continue
            if path is not None:
                self._drop(path)
            self._paths[key] = path = _Path(offer)
            tasks.start_soon(self._hold, path)

    def _drop(self, path: _Path) -> None:
        path.scope.cancel()
        if path.worker is not None:
            self._stir()

    def _renew(self, path: _Path, offer: Offer) -> None:
        """Take over what *offer* says now; a mere renewal is no change."""
        if path.offer.labels == offer.labels:
            return
        path.offer = offer
        if path.worker is not None:
            path.worker = Worker(offer=offer, endpoint=path.worker.endpoint)
            self._stir()

    async def _hold(self, path: _Path) -> None:
        log = structlog.get_logger("swarmgate.crew").bind(node=path.offer.node, service=path.offer.service)
        pause = self._pause
        with path.scope:
            while True:
                try:
                    async with self._reach(path.offer) as endpoint:
                        path.worker = Worker(offer=path.offer, endpoint=endpoint)
                        log.info("crew.joined", endpoint=str(endpoint))
                        self._stir()
                        await anyio.sleep_forever()
                except Unreachable as error:
                    log.warning("crew.unreachable", reason=str(error), seconds=round(pause, 1))
                finally:
                    if path.worker is not None:
                        path.worker = None
                        log.info("crew.left")
                        self._stir()
                await anyio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    def _stir(self) -> None:
        self.changed.set()
        self.changed = anyio.Event()


@asynccontextmanager
async def muster(
    ledger: Ledger, service: Service, reach: Reach, *, settle_seconds: float = 1.0
) -> AsyncGenerator[AsyncIterator[tuple[Worker, ...]]]:
    """Yield the crew, and again whenever it has changed and then stood still for *settle_seconds*.

    Nobody offering anything is told at once.  A worker that cannot be reached is left out, and
    tried again for as long as its offer stands; one that is offered at new addresses is reached
    anew, by way of the old path until then no longer.
    """
    keeper = _Muster(reach, pause=settle_seconds)

    async def settled() -> AsyncGenerator[tuple[Worker, ...]]:
        last: tuple[Worker, ...] | None = None
        if not ledger.offers(service):
            last = ()
            yield last
        while True:
            changed, crew = keeper.changed, keeper.crew
            if crew == last:
                await changed.wait()
                continue
            with anyio.move_on_after(settle_seconds):
                await changed.wait()
                continue
            last = crew
            yield crew

    crews = settled()
    async with background() as tasks:
        tasks.start_soon(keeper.follow, ledger, service, tasks)
        try:
            yield crews
        finally:
            await crews.aclose()
