"""Dials: everybody who was met is kept connected, and who is asked for is dialled at all their addresses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog
import trio
from swarmgate.api import NodeId, Revocations, Unreachable

from swarmgate_transport_libp2p.child.gate import Gate
from swarmgate_transport_libp2p.child.mended.dialing import in_order, reason_of
from swarmgate_transport_libp2p.child.redial import Redial
from swarmgate_transport_libp2p.child.relaying import MOST_RELAYS, Relaying

log = structlog.get_logger("swarmgate.libp2p")

#: The next address is tried when the one before has failed, or after so long, in seconds (as RFC 8305 has it).
_HEADSTART = 0.25
#: What connecting may take in all, the hello included, in seconds.
PATIENCE = 15.0
#: How long all direct ways together have before relays are asked, in seconds.
_DIRECT_SECONDS = 5.0
#: Pauses before a direct way is sought again while bytes are relayed, in seconds: the first, and the longest.
_DIRECT_AGAIN, _DIRECT_LONGEST = 5.0, 300.0
#: The most addresses of one peer that are tried at once.
_MOST_TRIED = 8
#: The most peers dialled at once by ourselves.
_MOST_DIALLED = 16
#: How often it is looked whether more are connected than do any good, in seconds.
LET_GO = 5.0
#: Streams by these protocols do not keep a connection: they are there as long as it is.
_STANDING = ("/meshsub/", "/floodsub/")


class Peers:
    """Keeps members connected; *gate* says who is."""

    def __init__(
        self,
        host: Any,
        gate: Gate,
        relaying: Relaying,
        revocations: Revocations,
        tasks: trio.Nursery,
        *,
        punch: Callable[[NodeId], Awaitable[None]] | None = None,
    ) -> None:
        self.redial = Redial()
        self._network = host.get_network()
        self._self = NodeId(str(host.get_id()))
        self._gate, self._relaying, self._revocations, self._tasks = gate, relaying, revocations, tasks
        self._punch = punch
        self._dials: dict[NodeId, trio.Event] = {}
        self._reasons: dict[NodeId, str] = {}
        self._by: dict[NodeId, str] = {}
        self._news = trio.Event()
        self._network.dial_peer = self._dial_for_library
        tasks.start_soon(self._keep_dialling)
        tasks.start_soon(self._keep_one)
        if not relaying.serves:  # whoever cannot be dialled is reached by the connections that a relay holds
            tasks.start_soon(self._keep_few)

    def __repr__(self) -> str:
        return f"<Peers {self.redial}>"

    def know(self, peer: NodeId, addresses: Sequence[str]) -> None:
        """Connect to *peer*, who may be at *addresses*, and stay connected."""
        if peer != self._self and peer not in self._revocations:
            self.redial.know(peer, addresses, trio.current_time())
            self._stir()

    def met(self, peer: NodeId, connection: Any) -> str:
        """Note that *peer* is connected; return where it was dialled, empty if it dialled us."""
        dialled = _is_outbound(connection) and not is_relayed(connection)
        address = self._by.pop(peer, "") if dialled else ""
        self._reasons.pop(peer, None)
        self.redial.met(peer, address, trio.current_time())
        if peer in self._relaying.relays:
            self.redial.keep(peer)
        if is_relayed(connection):
            self._tasks.start_soon(self._seek_direct_way, peer)
        return address

    def parted(self, peer: NodeId) -> None:
        """Note that *peer* is connected no more."""
        self.redial.parted(peer, trio.current_time())
        self._stir()

    def reason(self, peer: NodeId) -> str:
        """Return why *peer* is not connected, as far as is known."""
        return self._reasons.get(peer, "it is not connected")

    async def connect(self, peer: NodeId, hints: Sequence[str] = ()) -> None:
        """Return once *peer* is connected and has shown to be a member.

        Raises:
            Unreachable: it cannot be; the message says why, for each address.

        """
        if self._gate.is_connected(peer):
            return
        if peer == self._self:
            raise Unreachable("that is this node itself")
        if peer in self._revocations:
            raise Unreachable("it is revoked")
        addresses = in_order([*hints, *self.redial.addresses(peer)], _MOST_TRIED)
        if not addresses and not self._relaying.relays:
            raise Unreachable("nobody knows where it is: no hints, and it has not been met")
        under_way = self._dials.get(peer)
        if under_way is None:
            under_way = self._dials[peer] = trio.Event()
            self._tasks.start_soon(self._dial, peer, addresses, under_way)
        with trio.move_on_after(PATIENCE):
            await under_way.wait()
        if not self._gate.is_connected(peer):
            raise Unreachable(self._reasons.get(peer) or f"it did not answer within {PATIENCE:g} s")

    async def _dial(self, peer: NodeId, addresses: Sequence[str], done: trio.Event) -> None:
        failures: list[str] = []
        over = trio.Event()
        left = len(addresses)

        async def attempt(address: str, next_one: trio.Event) -> None:
            nonlocal left
            try:
                await self._attempt(peer, address)
            except Exception as error:  # noqa: BLE001  # whatever the library raises
                failures.append(f"{address}: {reason_of(error)}")
            left -= 1
            next_one.set()
            if left == 0 or self._gate.is_connected(peer):
                over.set()

        try:
            for address in addresses:
                next_one = trio.Event()
                self._tasks.start_soon(attempt, address, next_one)
                with trio.move_on_after(_HEADSTART):
                    await next_one.wait()
                if self._gate.is_connected(peer):
                    return
            if addresses:
                with trio.move_on_after(_DIRECT_SECONDS):
                    await over.wait()
            await self._dial_through_relays(peer, failures)
        finally:
            if not self._gate.is_connected(peer):
                self._reasons[peer] = "; ".join(failures) or f"no answer within {PATIENCE:g} s"
            del self._dials[peer]
            done.set()

    async def _dial_through_relays(self, peer: NodeId, failures: list[str]) -> None:
        """Try the relays that are connected, one after another, where no direct way was found."""
        for relay in list(self._relaying.relays)[:MOST_RELAYS]:
            if self._gate.is_connected(peer):
                return
            if relay != peer:
                try:
                    await self._relaying.dial(relay, peer)
                except Unreachable as error:
                    failures.append(str(error))

    async def _seek_direct_way(self, peer: NodeId) -> None:
        """Try again and again to reach a relayed *peer* directly: new streams take the direct way then."""
        pause = _DIRECT_AGAIN
        while True:
            await trio.sleep(pause)
            connections = self._gate.connections(peer)
            if not are_relayed(connections):
                return
            for address in in_order(self.redial.addresses(peer), _MOST_TRIED):
                try:
                    await self._attempt(peer, address)
                except Exception:  # noqa: BLE001, S112  # whatever the library raises; it goes on as it went
                    continue
                break
            await self._punch_through(peer)
            pause = min(2 * pause, _DIRECT_LONGEST)

    async def _punch_through(self, peer: NodeId) -> None:
        """Dial at the same moment as *peer*, if it has reached us through a relay: it leaves that to us then."""
        connections = self._gate.connections(peer)
        if self._punch is None or not are_relayed(connections) or all(map(_is_outbound, connections)):
            return
        try:
            await self._punch(peer)
        except Unreachable as error:
            log.debug("peers.not_punched", peer=peer, reason=str(error))

    async def _attempt(self, peer: NodeId, address: str) -> None:
        from libp2p.peer.id import ID
        from multiaddr import Multiaddr

        self._by[peer] = address
        await self._network.dial_addr(Multiaddr(address), ID.from_base58(peer))

    async def _dial_for_library(self, peer_id: Any) -> list[Any]:
        """Connect for the library's own parts, such as the DHT, in the same way as for all others."""
        from libp2p.network.exceptions import SwarmException

        if self.redial.is_sated and not self._gate.is_connected(NodeId(str(peer_id))):
            raise SwarmException("enough others are connected")  # the DHT would dial the closest for each question
        if self.redial.rests(str(peer_id), trio.current_time()):
            raise SwarmException("it did not answer a moment ago")  # the DHT would try it for each of its questions
        try:
            hints = [str(each).partition("/p2p/")[0] for each in self._network.peerstore.addrs(peer_id)]
        except Exception:  # noqa: BLE001  # it knows none
            hints = []
        try:
            await self.connect(NodeId(str(peer_id)), hints)
        except Unreachable as error:
            self.redial.failed(str(peer_id), trio.current_time())
            raise SwarmException(str(error)) from error
        return list(self._network.get_connections(peer_id))

    async def _keep_dialling(self) -> None:
        limit = trio.Semaphore(_MOST_DIALLED)
        while True:
            self._news = trio.Event()
            for peer in self.redial.due(trio.current_time()):
                self._tasks.start_soon(self._try, NodeId(peer), limit)
            with trio.move_on_after(self.redial.until_due(trio.current_time())):
                await self._news.wait()

    async def _try(self, peer: NodeId, limit: trio.Semaphore) -> None:
        try:
            async with limit:
                await self.connect(peer)
        except Unreachable as error:
            reason = str(error)
        else:
            reason = "" if self._gate.is_connected(peer) else "it was gone at once"
        if reason:
            log.debug("peers.not_reached", peer=peer, reason=reason)
            self.redial.failed(peer, trio.current_time())
            self._stir()
        else:
            self.redial.met(peer, "", trio.current_time())

    async def _keep_few(self) -> None:
        """Let go of those of many that nobody uses, for ever."""
        while True:
            await trio.sleep(LET_GO)
            for peer in self.redial.surplus(trio.current_time(), self._is_idle):
                self._gate.banish(NodeId(peer))

    async def _keep_one(self) -> None:
        """Let go of the second connection of two that have dialled each other, once nobody uses it, for ever."""
        before: set[Any] = set()
        while True:
            await trio.sleep(LET_GO)
            spare = {each for each in self._network.twins() if _is_unused(each)}
            for connection in spare & before:
                self._gate.close(connection)
            before = spare - before

    def _is_idle(self, peer: str) -> bool:
        return all(map(_is_unused, self._gate.connections(NodeId(peer))))

    def _stir(self) -> None:
        self._news.set()


def _is_unused(connection: Any) -> bool:
    return all(str(each.get_protocol() or "").startswith(_STANDING) for each in connection.get_streams())


def is_relayed(connection: Any) -> bool:
    """Return whether the bytes of *connection* pass through somebody else."""
    return any("/p2p-circuit" in str(each) for each in connection.get_transport_addresses())


def are_relayed(connections: Sequence[Any]) -> bool:
    """Return whether there are connections, and none but relayed ones."""
    return bool(connections) and all(map(is_relayed, connections))


def _is_outbound(connection: Any) -> bool:
    return connection.direction.name.lower() == "outbound"
