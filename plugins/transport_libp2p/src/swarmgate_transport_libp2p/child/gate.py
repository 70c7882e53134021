"""Lets nobody in who has not shown to be a member: before that nothing but the hello is answered.

The gate stands between the network and all else in the host.  Who dials says hello first (:mod:`.hello`); pubsub,
identify and all others hear of a connection only when its peer has shown itself, and streams that come before wait.
A peer that has shown itself on one connection is known on its others, too: Noise has proved its key on each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import trio
from swarmgate.api import Membership, NodeId, WireError

from swarmgate_transport_libp2p.child import hello, wires

#: How long a peer may take to show itself, in seconds.
PATIENCE = 5.0
#: The most connections whose peers have not shown themselves yet, and the most streams that wait on one of them.
MOST_STRANGERS, MOST_WAITING = 64, 16
#: How long libp2p's question who we are may wait for the hello, in seconds; go-libp2p opens no stream, and so says no
#: hello, before that has been answered or refused.
IDENTIFY_PATIENCE = 1.0
_IDENTIFY = "/ipfs/id/1.0.0"
#: How often it is looked whether somebody's certificate has ended, in seconds.
_EXAMINED = 30.0
_MOST_COMMANDS = 16
#: Each stranger is complained of once in so long, in seconds, and of no more than so many.
_COMPLAINED, _MOST_COMPLAINED = 60.0, 32


class NotAMember(Exception):
    """Whoever answered could not show to be a member of our swarm, or did not take us for one."""


class Gate:
    """Who has shown to be a member, of those who are connected.

    *met* and *parted* are called when a member comes and when its last connection is gone, *told* with what belongs
    in the log.
    """

    def __init__(
        self,
        host: Any,
        membership: Membership,
        tasks: trio.Nursery,
        *,
        met: Callable[[NodeId, Any], None],
        parted: Callable[[NodeId], None],
        told: Callable[..., None],
    ) -> None:
        #: What each member has shown.
        self.members: dict[NodeId, hello.Shown] = {}
        self._host, self._network = host, host.get_network()
        self._membership, self._tasks = membership, tasks
        self._met, self._parted, self._told = met, parted, told
        self._hello = hello.write(membership)
        self._shown: dict[NodeId, trio.Event] = {}
        self._strangers = 0
        self._complained: set[NodeId] = set()
        self._complained_since = trio.current_time()
        self._waiting: Counter[int] = Counter()
        self._admitted: set[Any] = set()
        self._handle = self._network.common_stream_handler
        self._notify_connected = self._network.notify_connected
        self._notify_disconnected = self._network.notify_disconnected
        self._network.set_stream_handler(self._stream)
        self._network.notify_connected = self._connected
        self._network.notify_disconnected = self._disconnected
        host.set_stream_handler(hello.PROTOCOL, self._answer)
        tasks.start_soon(self._keep_examining)

    def __repr__(self) -> str:
        return f"<Gate {len(self.members)} members, {self._strangers} strangers>"

    def announce(self, addresses: Sequence[str], *, relays: bool) -> None:
        """Tell members from now on that this node can be dialled at *addresses*, and whether it *relays*."""
        self._hello = hello.write(self._membership, addresses, relays=relays)

    def is_connected(self, peer: NodeId) -> bool:
        """Return whether *peer* is connected and has shown to be a member."""
        return peer in self.members and bool(self.connections(peer))

    def banish(self, peer: NodeId) -> None:
        """Close what *peer* has open."""
        self._tasks.start_soon(self._close_all, peer)

    def close(self, connection: Any) -> None:
        """Close one *connection* of several that a peer has open."""
        self._tasks.start_soon(_close, connection)

    async def _keep_examining(self) -> None:
        while True:
            await trio.sleep(_EXAMINED)
            for peer, shown in tuple(self.members.items()):
                try:
                    self._membership.examine(shown.certificate)
                except WireError as error:
                    self._complain(peer, str(error))
                    self.banish(peer)

    def _complain(self, peer: NodeId, reason: str) -> None:
        """Log why *peer* is closed; not each time, as strangers can come as often as they like."""
        now = trio.current_time()
        if now - self._complained_since >= _COMPLAINED:
            self._complained.clear()
            self._complained_since = now
        often = peer in self._complained or len(self._complained) >= _MOST_COMPLAINED
        self._complained.add(peer)
        self._told("debug" if often else "info", "stranger_closed", peer=peer, reason=reason)

    async def _close_all(self, peer: NodeId) -> None:
        for connection in self.connections(peer):
            with suppress(Exception):
                await connection.close()

    def connections(self, peer: NodeId) -> list[Any]:
        """Return what connections with *peer* there are, shown or not."""
        from libp2p.peer.id import ID

        return list(self._network.get_connections(ID.from_base58(peer)))

    # what the network tells

    async def _connected(self, connection: Any) -> None:
        peer = _peer_of(connection)
        if connection.direction.name.lower() != "outbound":
            self._tasks.start_soon(self._wait_for_hello, connection, peer)
            return
        try:
            await self._greet(connection, peer)
        except NotAMember:
            await connection.close()
            raise
        await self._admit(connection)

    async def _disconnected(self, connection: Any) -> None:
        peer = _peer_of(connection)
        if peer in self.members and not self.connections(peer):
            del self.members[peer]
            self._shown.pop(peer, None)
            self._parted(peer)
        if connection in self._admitted:
            self._admitted.discard(connection)
            await self._notify_disconnected(connection)

    async def _admit(self, connection: Any) -> None:
        peer = _peer_of(connection)
        if connection.is_closed:  # it ended while it showed itself, before anybody had heard of it
            if not self.connections(peer) and self.members.pop(peer, None) is not None:
                self._shown.pop(peer, None)
            return
        if peer not in self.members:
            return
        self._admitted.add(connection)
        await self._notify_connected(connection)
        self._met(peer, connection)

    async def _wait_for_hello(self, connection: Any, peer: NodeId) -> None:
        if self._strangers >= MOST_STRANGERS:
            self._told("warning", "crowded", peer=peer, reason=f"{self._strangers} others have not said hello yet")
            await connection.close()
            return
        self._strangers += 1
        try:
            shown = await self._has_shown(peer)
        finally:
            self._strangers -= 1
        if shown:
            await self._admit(connection)
        elif not connection.is_closed:
            self._complain(peer, f"said no hello within {PATIENCE:g} s")
            await connection.close()

    async def _has_shown(self, peer: NodeId) -> bool:
        if peer not in self.members:
            with trio.move_on_after(PATIENCE):
                await self._shown.setdefault(peer, trio.Event()).wait()
            if peer not in self.members:
                self._shown.pop(peer, None)
        return peer in self.members

    async def _shows_soon(self, peer: NodeId) -> bool:
        with trio.move_on_after(IDENTIFY_PATIENCE):
            await self._shown.setdefault(peer, trio.Event()).wait()
        return peer in self.members

    async def _introduce(self, peer: NodeId) -> None:
        """Tell *peer* who we are once it has shown itself; its question had to be refused."""
        from libp2p.identity.identify_push.identify_push import push_identify_to_peer
        from libp2p.peer.id import ID

        if await self._has_shown(peer):
            await push_identify_to_peer(self._host, ID.from_base58(peer))

    # the hello

    def _take(self, body: bytes, peer: NodeId) -> None:
        self.members[peer] = hello.read(self._membership, body, peer)
        self._shown.setdefault(peer, trio.Event()).set()

    async def _greet(self, connection: Any, peer: NodeId) -> None:
        from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator

        try:
            stream = await connection.new_stream()
            async with wires.or_reset(self._tasks, stream, PATIENCE):
                chooser = self._host.multiselect_client
                await chooser.select_one_of([hello.PROTOCOL], MultiselectCommunicator(stream), int(PATIENCE))
                await wires.write_all(stream, self._hello)
                head = await wires.read_exactly(stream, hello.HEAD_BYTES)
                self._take(await wires.read_exactly(stream, hello.length(head)), peer)
            self._tasks.start_soon(_close, stream)
        except WireError as error:
            raise NotAMember(str(error)) from error
        except Exception as error:
            raise NotAMember(
                "it did not answer our hello: one of us is not of the other's swarm, or revoked"
            ) from error

    async def _answer(self, stream: Any) -> None:
        """Answer the hello of whoever dialled us; who is no member gets nothing, and is closed."""
        peer = NodeId(str(stream.muxed_conn.peer_id))
        try:
            async with wires.or_reset(self._tasks, stream, PATIENCE):
                head = await wires.read_exactly(stream, hello.HEAD_BYTES)
                self._take(await wires.read_exactly(stream, hello.length(head)), peer)
                await wires.write_all(stream, self._hello)
                await wires.end(stream)
        except WireError as error:
            self._complain(peer, str(error))
            await self._close_all(peer)
        except wires.StreamLost as error:
            self._told("debug", "hello_lost", peer=peer, reason=str(error))
            await wires.reset(stream)

    # streams

    async def _stream(self, stream: Any) -> None:
        """Hand a stream that a peer opened on to the host, if it is a member's; wait for its hello if it is not."""
        peer = NodeId(str(stream.muxed_conn.peer_id))
        try:
            if peer in self.members:
                await self._handle(stream)
            else:
                await self._wait(stream, peer)
        except Exception as error:  # noqa: BLE001  # an error that leaves a handler ends the library's host
            self._told("debug", "handler_failed", peer=peer, reason=repr(error))
            await wires.reset(stream)

    async def _wait(self, stream: Any, peer: NodeId) -> None:
        """Serve the stream of a peer that has not shown itself yet, as far as that goes."""
        number = id(stream.muxed_conn)
        if self._waiting[number] >= MOST_WAITING:
            await wires.reset(stream)
            return
        self._waiting[number] += 1
        try:
            await self._negotiate(stream, peer)
        finally:
            self._waiting[number] -= 1
            if not self._waiting[number]:
                del self._waiting[number]

    async def _negotiate(self, stream: Any, peer: NodeId) -> None:
        from libp2p.protocol_muxer.multiselect import PROTOCOL_NOT_FOUND_MSG
        from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator

        chooser, wire = self._host.multiselect, MultiselectCommunicator(stream)
        await chooser.handshake(wire)
        for _ in range(_MOST_COMMANDS):
            command = await wire.read()
            if command == _IDENTIFY and not await self._shows_soon(peer):
                await wires.reset(stream)
                await self._introduce(peer)
                return
            if command != hello.PROTOCOL and not await self._has_shown(peer):
                break  # and so it is not told what there would be
            handler = chooser.handlers.get(command)
            if handler is not None:
                await wire.write(command)
                stream.set_protocol(command)
                await handler(stream)
                return
            await wire.write(PROTOCOL_NOT_FOUND_MSG)
        await wires.reset(stream)


def _peer_of(connection: Any) -> NodeId:
    return NodeId(str(connection.muxed_conn.peer_id))


async def _close(what: Any) -> None:
    with suppress(Exception):
        await what.close()
