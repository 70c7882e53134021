"""The forwarding child's supervisor: knows what the child is to hold, and tells it again after a restart."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import anyio
import structlog
from swarmgate.api import Child, Endpoint, Frame, Membership, NodeId, Starting, Unreachable

from swarmgate_transport_tls.messages import (
    Conceal,
    Configure,
    Done,
    Expose,
    FromChild,
    Leave,
    Listen,
    Measured,
    Reach,
    Revoke,
    TurnedAway,
)

#: Beyond the time-out: how long a child may take to be started, or to do what needs nobody else.
_START_SECONDS = 4.0


@dataclass(eq=False)
class Held:
    """Something asked of the child, and what has become of it; *frame* is what a fresh child is told."""

    frame: Listen | Expose | Reach
    settled: anyio.Event = field(default_factory=anyio.Event)
    done: Done | None = None
    rtt_seconds: float | None = None
    reason: str = ""


class Forwarder:
    """What the child holds for one node; *timeout_seconds* is how long a peer may take to answer."""

    def __init__(self, membership: Membership, *, timeout_seconds: float) -> None:
        self._membership, self._timeout = membership, timeout_seconds
        self._held: dict[int, Held] = {}
        self._concealing: dict[int, anyio.Event] = {}
        self._last_id = 0
        self._death = ""
        self._log = structlog.get_logger("swarmgate.transport_tls")
        self.child: Child[FromChild] = Child(
            "the TLS forwarder", [sys.executable, "-m", "swarmgate_transport_tls.child"], FromChild, self
        )

    def __repr__(self) -> str:
        return f"<Forwarder {len(self._held)} held, {self.child!r}>"

    @property
    def next_id(self) -> int:
        """Return a number for something to be asked."""
        self._last_id += 1
        return self._last_id

    async def hold(self, frame: Listen | Expose | Reach) -> Held:
        """Ask for *frame*, and again of each fresh child, until :meth:`drop`.

        Raises:
            Unreachable: it cannot be had; the message says why.

        """
        held = self._held[frame.id] = Held(frame)
        try:
            with suppress(Starting):  # else a fresh child is told with all the rest
                await self.child.tell(frame)
            with anyio.move_on_after(self._timeout + _START_SECONDS):
                await held.settled.wait()
        except BaseException:  # whoever asked lost interest, as when another address was quicker
            await self.drop(held)
            raise
        if held.done is None or held.done.reason:
            await self.drop(held)
            raise Unreachable(held.done.reason if held.done else f"the TLS forwarder does not answer{self._death}")
        return held

    async def drop(self, held: Held) -> None:
        """Hold *held* no longer; once this returns, nobody is let in to a service any more."""
        self._held.pop(held.frame.id, None)
        with anyio.CancelScope(shield=True), suppress(Starting):
            match held.frame:
                case Reach(id=number):
                    await self.child.tell(Leave(number))
                case Expose(service=service):
                    number = self.next_id
                    gone = self._concealing[number] = anyio.Event()
                    try:
                        await self.child.tell(Conceal(number, service))
                        with anyio.move_on_after(_START_SECONDS):
                            await gone.wait()
                    finally:
                        del self._concealing[number]
                case Listen():
                    pass  # stays as long as the child does

    async def revoke(self, peer: NodeId) -> None:
        """Have what *peer* has open closed; a fresh child is told with who we are."""
        with suppress(Starting):
            await self.child.tell(Revoke(peer))

    # ---- what the child's supervisor asks and tells

    def started(self) -> Sequence[Frame]:
        """Tell a fresh child who we are, and all that it is to hold, at the ports that were given out."""
        membership = self._membership
        who = Configure(
            key=membership.key,
            certificate=membership.certificate,
            authority=membership.authority,
            sealing=membership.sealing,
            timeout_seconds=self._timeout,
            revoked=tuple(sorted(membership.revocations.peers)),
        )
        return [who, *(_again(held) for held in self._held.values())]

    def received(self, frame: Any) -> None:
        """Take in what the child says."""
        match frame:
            case Done(id=number):
                self._settle(number, frame)
            case Measured(id=number, rtt_seconds=rtt, reason=reason):
                if (held := self._held.get(number)) is not None:
                    if reason and reason != held.reason:
                        self._log.warning("transport.path_lost", address=_address(held), reason=reason)
                    held.rtt_seconds, held.reason = rtt, reason
            case TurnedAway(address=address, reason=reason, more=more):
                self._log.warning("transport.turned_away", address=address, reason=reason, more=more)
            case _:
                self._log.warning("transport.unknown_frame", reason=type(frame).__name__)

    def died(self, reason: str) -> None:
        """Learn that the child is gone: its tunnels are cut, and the rest is told to the next one."""
        self._death = f": it {reason}"
        for held in self._held.values():
            held.rtt_seconds, held.reason = None, f"the TLS forwarder {reason}, and is being restarted"
        for gone in self._concealing.values():
            gone.set()

    def _settle(self, number: int, done: Done) -> None:
        if (gone := self._concealing.get(number)) is not None:
            gone.set()
        held = self._held.get(number)
        if held is None:
            return
        if held.settled.is_set():  # of a fresh child
            if done.reason:
                held.reason = done.reason
                self._log.warning("transport.not_held", address=_address(held), reason=done.reason)
            else:
                held.reason = ""
            return
        held.done = done
        held.settled.set()


def _again(held: Held) -> Frame:
    """Return what a fresh child is told of *held*: ports that were given out stay as they are."""
    frame, done = held.frame, held.done
    if done is None:
        return frame
    match frame:
        case Listen(id=number, host=host):
            return Listen(number, host, done.port, again=True)
        case Reach(id=number, peer=peer, host=host, port=port, service=service):
            return Reach(number, peer, host, port, service, done.port)
        case Expose():
            return frame


def _address(held: Held) -> str:
    match held.frame:
        case Reach(peer=peer, host=host, port=port, service=service):
            return f"tls://{peer}@{Endpoint(host, port)}/{service}"
        case Listen(host=host, port=port):
            return str(Endpoint(host, port))
        case Expose(service=service):
            return service
