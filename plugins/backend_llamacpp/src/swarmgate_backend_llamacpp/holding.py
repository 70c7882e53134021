"""The workers a backend has: leases, and ways to them that llama.cpp can take."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import anyio
import structlog
from anyio.abc import TaskGroup
from swarmgate.api import Endpoint, Starting, SwarmgateError, Unavailable, Unreachable, Worker

from swarmgate_backend_llamacpp.engine_child import Outcome
from swarmgate_backend_llamacpp.rpc.client import Lease, lease, probe
from swarmgate_backend_llamacpp.rpc.in_use import InUse
from swarmgate_backend_llamacpp.rpc.relay import ipv4_path, resolve

#: How long a lender may take to start its server again, and how often it is asked, in seconds.
_RESTART_SECONDS, _ASK_SECONDS = 20.0, 0.1


@dataclass(slots=True, eq=False)
class _Hold:
    """One worker: asked for, then ours, then perhaps lost."""

    worker: Worker
    lease: Lease | None = None
    address: str = ""
    refusal: SwarmgateError | None = None
    lost: str = ""
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    settled: anyio.Event = field(default_factory=anyio.Event)
    ended: anyio.Event = field(default_factory=anyio.Event)

    @property
    def stands(self) -> bool:
        """Return whether the worker is ours, as far as anybody knows."""
        return self.lease is not None and not self.ended.is_set() and not self.lost


class Holding:
    """Takes workers for *holder*, keeps them whatever plans come and go, and gives back those that no plan needs."""

    def __init__(self, holder: str, in_use: InUse, tasks: TaskGroup) -> None:
        """*in_use* says where engines are connected; *tasks* carry the leases: their end gives all back."""
        self._holder, self._in_use, self._tasks = holder, in_use, tasks
        self._holds: dict[Endpoint, _Hold] = {}
        self._news = anyio.Event()
        self._log = structlog.get_logger("swarmgate.llamacpp")

    def __repr__(self) -> str:
        return f"<Holding of {', '.join(hold.worker.offer.name for hold in self._holds.values()) or 'nobody'}>"

    def __len__(self) -> int:
        return len(self._holds)

    async def take(self, workers: Sequence[Worker]) -> None:
        """Make all of *workers* ours, at once, and wait for those that are just being restarted.

        Raises:
            Unavailable: one is lent to somebody else, or gone; the message names it and says why.

        """
        faults: dict[Endpoint, SwarmgateError] = {}

        async def take(worker: Worker) -> None:
            try:
                await self._take(worker)
            except (Unavailable, Unreachable) as error:
                faults[worker.endpoint] = error

        async with anyio.create_task_group() as tasks:
            for worker in workers:
                tasks.start_soon(take, worker)
        for worker in workers:
            if fault := faults.get(worker.endpoint):
                raise Unavailable(f"worker {worker.offer.name!r} cannot be used: {fault}") from fault

    def address(self, worker: Worker) -> str:
        """Return where llama.cpp reaches *worker*, which is ours: ``host:port``, IPv4."""
        return self._holds[worker.endpoint].address

    def keeps_leases(self, worker: Worker) -> bool:
        """Return whether one is told when *worker*, which is ours, is gone; llama.cpp's own server tells nobody."""
        return _keeps_leases(self._holds[worker.endpoint])

    async def lost(self, workers: Collection[Worker]) -> Outcome:
        """Wait until one of *workers* is no longer ours, and return why."""
        while True:
            news = self._news
            for worker in workers:
                hold = self._holds.get(worker.endpoint)
                if hold is None or not hold.stands:
                    return Outcome("lost", hold.lost if hold else f"worker {worker.offer.name!r} was given back")
            await news.wait()

    async def keep_only(self, workers: Collection[Worker]) -> None:
        """Give back all but *workers*."""
        kept = {worker.endpoint for worker in workers}
        for hold in [hold for endpoint, hold in self._holds.items() if endpoint not in kept]:
            await self._drop(hold)

    async def _take(self, worker: Worker) -> None:
        while (known := self._holds.get(worker.endpoint)) is not None:  # others take and drop meanwhile
            await known.settled.wait()
            if known.stands and _keeps_leases(known):
                await self._until_it_serves(known)
            if known.stands and (_keeps_leases(known) or worker.endpoint in self._in_use):
                return  # llama.cpp's own server answers no second client; should it be gone, the engine will tell
            await self._drop(known)
        if worker.endpoint in self._in_use:
            raise Unavailable("another model of this gateway uses it")
        hold = self._holds[worker.endpoint] = _Hold(worker)
        self._tasks.start_soon(self._hold, hold)
        await hold.settled.wait()
        if hold.refusal is not None:
            raise hold.refusal

    async def _until_it_serves(self, hold: _Hold) -> None:
        """Wait for a lender that we have to start its server again, if that is gone."""
        endpoint = await resolve(hold.worker.endpoint)
        end = anyio.current_time() + _RESTART_SECONDS
        while hold.stands and (waiting := (await probe(endpoint, holder=self._holder)).waiting):
            if anyio.current_time() > end:
                raise Unavailable(waiting)
            await anyio.sleep(_ASK_SECONDS)

    async def _drop(self, hold: _Hold) -> None:
        hold.scope.cancel()
        await hold.ended.wait()
        if self._holds.get(hold.worker.endpoint) is hold:
            del self._holds[hold.worker.endpoint]

    async def _hold(self, hold: _Hold) -> None:
        try:
            with hold.scope:
                await self._keep(hold)
        except (Unavailable, Unreachable) as error:
            hold.refusal = error
            self._log.warning("worker.refused", node=hold.worker.offer.name, reason=str(error))
        finally:
            hold.settled.set()
            hold.ended.set()
            self._stir()

    async def _keep(self, hold: _Hold) -> None:
        name = hold.worker.offer.name
        endpoint = await resolve(hold.worker.endpoint)
        end = anyio.current_time() + _RESTART_SECONDS
        while True:
            try:
                async with AsyncExitStack() as stack:
                    held = await stack.enter_async_context(lease(endpoint, self._holder))
                    hold.address = await stack.enter_async_context(ipv4_path(endpoint))
                    hold.lease = held
                    hold.settled.set()
                    self._log.info("worker.taken", node=name, endpoint=str(endpoint))
                    hold.lost = f"worker {name!r} is gone: {await held.wait_lost()}"
                self._log.warning("worker.lost", node=name, reason=hold.lost)
            except Starting:
                if anyio.current_time() > end:
                    raise
                await anyio.sleep(_ASK_SECONDS)
            else:
                return

    def _stir(self) -> None:
        self._news.set()
        self._news = anyio.Event()


def _keeps_leases(hold: _Hold) -> bool:
    return hold.lease is not None and hold.lease.facts.keeps_leases
