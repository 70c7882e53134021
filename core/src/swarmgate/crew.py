"""The crew: workers that can be reached and used right now, held so for as long as they stand."""

from __future__ import annotations

import math
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Self

import anyio
import msgspec
import structlog
from anyio.abc import TaskGroup

from swarmgate.background import background
from swarmgate.contracts import Ledger, Probe
from swarmgate.departed import Departed
from swarmgate.errors import Unavailable, Unreachable
from swarmgate.nouns import Endpoint, NodeId, Offer, Service, Worker
from swarmgate.reaching import Path, Reach, as_offered
from swarmgate.roster import Member
from swarmgate.rota import Key, Rota

#: The first and the longest pause before one that could not be used is tried again, in seconds; they double.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0
#: Who stood for so long is no longer taken for one that comes and goes, in seconds.
_HEALTHY_SECONDS = 60.0
#: However often one comes and goes, it has to stand no longer than this before it counts, in seconds.
_LONGEST_SETTLE = 60.0
#: Those who arrive one after the other are waited for together, for so many times the settling time at most.
_BURST = 5
#: How long the first crew waits for those who have not answered yet, in seconds.
_VERDICT_SECONDS = 6.0


class Crew(AsyncIterator[tuple[Worker, ...]]):
    """Keeps a path to each standing offer open, and probes what is there; made by :func:`muster`.

    Iterating gives the usable ones, sorted by key, now and again after every change: a worker that can no longer
    be used is missing at once, a new one counts when it has stood for a while, longer after each time it went.
    """

    def __init__(
        self,
        ledger: Ledger,
        service: Service,
        reach: Reach,
        *,
        probe: Probe | None = None,
        is_own: Callable[[Endpoint], bool] = lambda _: False,
        me: NodeId | None = None,
        settle_seconds: float = 1.0,
        rota: Rota | None = None,
    ) -> None:
        self._ledger, self._service, self._reach, self._probe = ledger, service, reach, probe
        self._me, self._rota = me, rota or Rota(NodeId(""), sys.maxsize)
        self._is_own, self._settle = is_own, settle_seconds
        self._paths: dict[Key, Path] = {}
        self._departed = Departed()
        self._flaps: dict[Key, int] = {}
        self._changed, self._asked = anyio.Event(), anyio.Event()
        self._heard = False
        self._last: tuple[tuple[Worker, ...], tuple[Offer, ...]] | None = None
        self._patient_until = math.inf

    def __repr__(self) -> str:
        usable = sum(path.worker is not None for path in self._paths.values())
        return f"<Crew of {usable} of {len(self._paths)} offers of {self._service}>"

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[Worker, ...]:
        while True:
            changed, now = self._changed, anyio.current_time()
            crew = tuple(
                path.worker
                for _, path in sorted(self._paths.items())
                if path.worker is not None and path.ready_at <= now
            )
            told = crew, self.announced()
            if told != self._last and (self._last is not None or self._may_begin(now)):
                self._last = told
                return crew
            with anyio.move_on_after(self._next_moment(now) - now):
                await changed.wait()

    def announced(self) -> tuple[Offer, ...]:
        """Return the offers of those to whom no path is held as nobody has use for them, or not yet; sorted by key."""
        now, waiting = anyio.current_time(), (path for _, path in sorted(self._paths.items()) if path.announced)
        usable = (path for path in waiting if path.standing != "left_out")
        return tuple(path.offer for path in usable if path.worker is None or path.ready_at > now)

    @contextmanager
    def used(self, key: Key) -> Generator[None]:
        """Have a path held to the one with this *key* for as long as the block, and a while longer."""
        self._rota.begin(key, anyio.current_time())
        self._asked.set()
        try:
            yield
        finally:
            self._rota.end(key, anyio.current_time())
            self._asked.set()

    def members(self) -> tuple[Member, ...]:
        """Return everybody who offers the service, in whatever state, sorted by key."""
        now = anyio.current_time()
        return tuple(path.member(now) for _, path in sorted(self._paths.items()))

    def departed(self) -> tuple[Member, ...]:
        """Return who offered the service lately and does so no more, sorted by key."""
        return self._departed.members(anyio.current_time(), without=self._paths)

    async def follow(self, tasks: TaskGroup) -> None:
        """Hold a path to whoever offers the service, by *tasks*, until cancelled."""
        tasks.start_soon(self._take_turns, tasks)
        async with self._ledger.watch(self._service) as sets:
            async for offers in sets:
                self._take(offers, tasks)
                if not self._heard:
                    self._heard, self._patient_until = True, anyio.current_time() + _VERDICT_SECONDS
                    self._stir()

    def _may_begin(self, now: float) -> bool:
        """Return whether the first crew may be told: all have been looked at, or that took too long."""
        paths = self._paths.values()
        settled = all(path.standing != "reaching" and (path.worker is None or path.ready_at <= now) for path in paths)
        return self._heard and (settled or now >= self._patient_until)

    def _next_moment(self, now: float) -> float:
        """Return when something may be told without anything happening, infinity if never."""
        moments = [path.ready_at for path in self._paths.values() if path.worker is not None]
        if self._last is None:
            moments.append(self._patient_until)
        return min((moment for moment in moments if moment > now), default=math.inf)

    def _take(self, offers: tuple[Offer, ...], tasks: TaskGroup) -> None:
        standing = {offer.key: offer for offer in offers if offer.node != self._me}
        for key in self._paths.keys() - standing.keys():
            path, now = self._paths.pop(key), anyio.current_time()
            self._departed.add(path.member(now), now)
            path.scope.cancel()
            self._stir()
        for key, offer in standing.items():
            path = self._paths.get(key)
            if path is not None and _leads_to(path, offer):
                self._renew(path, offer)
                continue
            if path is not None:
                path.scope.cancel()
            self._paths[key] = Path(offer)
        self._arrange(tasks)
        self._asked.set()  # the next turn may have come nearer

    def _arrange(self, tasks: TaskGroup) -> None:
        """Begin to hold whom the rota says, and let go of the others."""
        held = self._rota.held(self._paths, anyio.current_time())
        for key, path in tuple(self._paths.items()):
            if key in held and path.standing == "announced":
                path.standing = "reaching"
                tasks.start_soon(self._hold, path)
            elif key not in held and not (path.announced and path.standing == "announced"):
                path.scope.cancel()
                self._paths[key] = Path(path.offer, announced=True)
                self._stir()

    async def _take_turns(self, tasks: TaskGroup) -> None:
        while True:
            with anyio.move_on_after(self._rota.until_change(anyio.current_time())):
                await self._asked.wait()
            self._asked = anyio.Event()
            self._arrange(tasks)

    def _renew(self, path: Path, offer: Offer) -> None:
        """Take over what *offer* says now; a mere renewal is no change."""
        before, path.offer = path.offer, offer
        if (before.labels, before.addresses) == (offer.labels, offer.addresses):
            return
        self._stir()
        if path.worker is not None and before.labels != offer.labels:
            labels = {**path.worker.offer.labels, **offer.labels} if self._probe is not None else offer.labels
            path.worker = Worker(offer=msgspec.structs.replace(offer, labels=labels), endpoint=path.worker.endpoint)

    async def _hold(self, path: Path) -> None:
        log = structlog.get_logger("swarmgate.crew").bind(
            node=path.offer.node, offer=path.offer.name, service=path.offer.service
        )
        pause = _FIRST_PAUSE
        with path.scope:
            while True:
                try:
                    await self._use(path, log)
                except (Unreachable, Unavailable) as error:
                    news = str(error) != path.reason or path.worker is not None
                    path.reason = str(error)
                    (log.warning if news else log.debug)("crew.unusable", reason=path.reason, seconds=round(pause, 1))
                finally:
                    if path.worker is not None and self._leave(path, log):
                        pause = _FIRST_PAUSE
                path.standing, path.retry_at = "left_out", anyio.current_time() + pause
                self._stir()
                await anyio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def _use(self, path: Path, log: structlog.stdlib.BoundLogger) -> None:
        """Keep *path* usable for as long as it is; raise why it no longer is."""
        path.using, path.displaced = anyio.CancelScope(), ""
        with path.using:
            async with self._reach(path.offer) as reached:
                path.reached = reached
                try:
                    await self._look_into(path, reached.endpoint, log)
                except Unreachable as error:
                    raise Unreachable(reached.named(str(error), path.offer)) from None
                finally:
                    path.reached = None
        raise Unavailable(path.displaced)

    async def _look_into(self, path: Path, endpoint: Endpoint, log: structlog.stdlib.BoundLogger) -> None:
        if self._is_own(endpoint):
            raise Unavailable(
                f"{endpoint} is this gateway's own address: take it off the list, or give the port of a worker"
            )
        if self._probe is None:
            self._found(path, endpoint, {}, log)
            await anyio.sleep_forever()
            return
        async with self._probe.watch(endpoint) as reports:
            async for labels in reports:
                self._found(path, endpoint, labels, log)
        raise Unreachable(f"{endpoint} says no more")

    def _found(self, path: Path, endpoint: Endpoint, labels: dict[str, str], log: structlog.stdlib.BoundLogger) -> None:
        for other in self._paths.values():
            if other is path or other.worker is None:
                continue
            if other.worker.endpoint == endpoint:
                raise Unavailable(f"{endpoint} is in use as {other.offer.name!r} already: remove one of the two")
        offer = msgspec.structs.replace(path.offer, labels={**path.offer.labels, **labels})
        if path.worker is None:
            self._join(path, self._displace_twin(path, offer.labels, log))
            log.info("crew.joined", endpoint=str(endpoint), labels=labels)
        path.worker = Worker(offer=offer, endpoint=endpoint)
        path.standing, path.reason, path.retry_at = "usable", "", None
        self._stir()

    def _displace_twin(self, path: Path, labels: dict[str, str], log: structlog.stdlib.BoundLogger) -> Path | None:
        """Give up and return the path that leads to the same worker as *path*, which is the better way; None: no such.

        Raises:
            Unavailable: there is such a one, and it is as good.

        """
        for other in self._paths.values():
            if other is path or other.worker is None or not _is_same(other.worker.offer.labels, labels):
                continue
            kinds = (path.reached.kind if path.reached else "", other.reached.kind if other.reached else "")
            if kinds != ("direct", "relayed"):
                raise Unavailable(f"is in use as {other.offer.name!r} already, by {other.reached}")
            other.displaced = f"is in use as {path.offer.name!r} already, by {path.reached}"
            other.using.cancel()
            other.worker, other.standing, other.reason = None, "left_out", other.displaced
            other.left_at = anyio.current_time()
            log.info("crew.displaced", other=other.offer.name, reason=other.displaced)
            return other
        return None

    def _join(self, path: Path, twin: Path | None) -> None:
        """Say from when on *path* counts: at once if its *twin* did, and those who come together count together."""
        if twin is not None:
            path.joined_at, path.ready_at = twin.joined_at, twin.ready_at
            return
        now = anyio.current_time()
        settle = 0.0 if self._rota.is_asked_for(path.offer.key) else self._settle
        settle = min(settle * 2.0 ** self._flaps.get(path.offer.key, 0), _LONGEST_SETTLE)
        path.joined_at, path.ready_at = now, now + settle
        for other in self._paths.values():
            if other.worker is not None and now < other.ready_at < path.ready_at:
                other.ready_at = min(path.ready_at, max(other.ready_at, other.joined_at + _BURST * self._settle))

    def _leave(self, path: Path, log: structlog.stdlib.BoundLogger) -> bool:
        """Note that *path* cannot be used any more; return whether it had stood for long."""
        path.left_at = anyio.current_time()
        healthy = path.left_at - path.joined_at >= _HEALTHY_SECONDS
        self._flaps[path.offer.key] = 0 if healthy else self._flaps.get(path.offer.key, 0) + 1
        path.worker = None
        log.info("crew.left", reason=path.reason)
        self._stir()
        return healthy

    def _stir(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


def _is_same(one: dict[str, str], other: dict[str, str]) -> bool:
    """Return whether two answers are one worker's: each draws an ``instance`` at its start, and tells it."""
    return bool(one.get("instance")) and one.get("instance") == other.get("instance")


def _leads_to(path: Path, offer: Offer) -> bool:
    """Return whether *path* needs no other one for *offer*: further addresses are no reason to leave one that holds.

    Neither are other hints how to get there, which is what stands behind the question mark of an address.
    """
    if path.reached is not None and as_offered(path.reached.address, offer) in offer.addresses:
        return True
    return path.offer.addresses == offer.addresses


@asynccontextmanager
async def muster(
    ledger: Ledger,
    service: Service,
    reach: Reach,
    *,
    probe: Probe | None = None,
    is_own: Callable[[Endpoint], bool] = lambda _: False,
    me: NodeId | None = None,
    settle_seconds: float = 1.0,
    rota: Rota | None = None,
) -> AsyncGenerator[Crew]:
    """Yield the crew of those who offer *service*; see :class:`Crew`.

    Nobody offering anything is told at once.  A worker that cannot be reached, or that *probe* finds no use for,
    is left out, and tried again for as long as its offer stands; so is one *is_own* recognizes as ourselves, and one
    that is there under another name already.  One that is no longer offered at the address by which it is held is
    reached anew, and so is one whose path was lost, by another of its addresses if there is one.  What *me* offers
    itself is passed over.  Of too many, *rota* says to whom a path is held.
    """
    crew = Crew(ledger, service, reach, probe=probe, is_own=is_own, me=me, settle_seconds=settle_seconds, rota=rota)
    async with background() as tasks:
        tasks.start_soon(crew.follow, tasks)
        yield crew
