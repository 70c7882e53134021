"""Circuit relay v2: a member that others can dial passes bytes on between two that cannot dial each other.

Which members relay, they say in their hello.  Each member holds a reservation with those that it has dialled; who finds
no direct way to a peer asks the relays that it is connected to.  The relay sees who talks to whom, and no more: inside
is a connection of the two, with Noise and the hello of its own.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio
from libp2p.peer.id import ID
from libp2p.relay.circuit_v2.config import RelayConfig, RelayRole
from libp2p.relay.circuit_v2.protocol import PROTOCOL_ID as HOP
from libp2p.relay.circuit_v2.protocol import CircuitV2Protocol
from libp2p.relay.circuit_v2.resources import RelayLimits
from libp2p.relay.circuit_v2.transport import CircuitV2Transport
from libp2p.tools.anyio_service import background_trio_service
from multiaddr import Multiaddr
from swarmgate.api import NodeId, Unreachable

from swarmgate_transport_libp2p.child import wires

#: The most reservations a relay gives, and the most connections of one peer that it carries.
_RESERVATIONS, _CIRCUITS = 256, 32
#: No limits for a circuit, as far as the library can have none: seconds and bytes.
_DURATION, _DATA = 1 << 31, 1 << 50
#: How long a reservation holds, and how often it is made anew, in seconds.
_HOLDS, _RENEWED = 600, 240.0
#: How long a failed one waits, and what one may take.
_PAUSE, _SECONDS = 10.0, 10.0
#: With how many relays a member holds a reservation, and how many are asked for a way.
MOST_RELAYS = 3


class Relaying:
    """Reservations with relays, and ways through them; with *serves*, this node is one itself."""

    def __init__(self, host: Any, tasks: trio.Nursery, *, serves: bool, told: Callable[..., None]) -> None:
        self.serves = serves
        #: The members connected that relay.
        self.relays: dict[NodeId, None] = {}
        self._host, self._tasks, self._told = host, tasks, told
        limits = RelayLimits(
            duration=_DURATION,
            data=_DATA,
            max_circuit_conns=_CIRCUITS,
            max_reservations=_RESERVATIONS,
            reservation_ttl=_HOLDS,
        )
        roles = RelayRole.STOP | RelayRole.HOP if serves else RelayRole.STOP
        self._protocol = CircuitV2Protocol(host, limits, allow_hop=serves)
        # not its CLIENT role: it would reserve anew with each dial
        self._transport = CircuitV2Transport(host, self._protocol, RelayConfig(roles=roles, limits=limits))
        #: With whom reservations are held, and what has them renewed at once.
        self._held: dict[NodeId, trio.Event] = {}

    def __repr__(self) -> str:
        return f"<Relaying by {len(self.relays)} relays{', and is one' if self.serves else ''}>"

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Serve, and be reached through others, until the block is left."""
        async with background_trio_service(self._protocol):
            await self._protocol.event_started.wait()
            yield

    def met(self, peer: NodeId, *, relays: bool) -> None:
        """Note that *peer* is connected; reserve with it, if it *relays* and there are not enough yet."""
        if not relays:
            return
        self.relays[peer] = None
        if peer in self._held:
            self._held[peer].set()  # it may have begun anew, and know nothing of us
        elif len(self._held) < MOST_RELAYS and not self.serves:
            self._held[peer] = trio.Event()
            self._tasks.start_soon(self._keep_reserved, peer)

    def parted(self, peer: NodeId) -> None:
        """Note that *peer* is connected no more."""
        self.relays.pop(peer, None)

    async def dial(self, relay: NodeId, peer: NodeId) -> None:
        """Connect to *peer* through *relay*, which is connected.

        Raises:
            Unreachable: *relay* does not know *peer*, or it did not answer; the message says so.

        """
        where = Multiaddr(f"/p2p/{relay}/p2p-circuit/p2p/{peer}")
        try:
            await self._transport.dial(where)
        except Exception as error:  # whatever the library raises
            raise Unreachable(f"through {relay}: {wires.told(error)}") from error

    async def _keep_reserved(self, relay: NodeId) -> None:
        """Hold a reservation with *relay* while it is connected: through it others reach us."""
        try:
            while relay in self.relays:
                reserved = await self._reserve(relay)
                self._told("debug", "reserved" if reserved else "not_reserved", relay=relay)
                with trio.move_on_after(_RENEWED if reserved else _PAUSE):
                    await self._held[relay].wait()
                self._held[relay] = trio.Event()
        finally:
            del self._held[relay]

    async def _reserve(self, relay: NodeId) -> bool:
        peer_id = ID.from_base58(relay)

        async def work() -> bool:
            stream = await self._host.new_stream(peer_id, [HOP])
            # private: the public one starts a worker of the library's own that renews in its way
            make: Any = self._transport._make_reservation  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # likewise
            reserved = await make(stream, peer_id)
            await stream.close()
            return bool(reserved)

        try:
            return await wires.within(self._tasks, _SECONDS, work)
        except Unreachable:
            return False
