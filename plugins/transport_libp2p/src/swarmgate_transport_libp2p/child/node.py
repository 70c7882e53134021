"""The child's desk: what the gateway orders, done by the rooms around; what they see, told to the gateway."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio
from libp2p.peer.id import ID
from swarmgate.api import Frame, Membership, NodeId, Revocations, Unreachable, WireError

from swarmgate_transport_libp2p.addresses import tidied
from swarmgate_transport_libp2p.child import hosting
from swarmgate_transport_libp2p.child.dht import Seeker
from swarmgate_transport_libp2p.child.gate import Gate
from swarmgate_transport_libp2p.child.gossip import Gossip
from swarmgate_transport_libp2p.child.peers import Peers, are_relayed
from swarmgate_transport_libp2p.child.punching import Punching
from swarmgate_transport_libp2p.child.redial import DEGREE
from swarmgate_transport_libp2p.child.relaying import Relaying
from swarmgate_transport_libp2p.child.tunnels import Path, Tunnels
from swarmgate_transport_libp2p.messages import (
    Begin,
    Conceal,
    Expose,
    Join,
    Know,
    Leave,
    Listening,
    Met,
    Noted,
    Parted,
    Publish,
    Published,
    Reach,
    Reached,
    Revoke,
    Said,
    Say,
    Seek,
    Stands,
    ToChild,
    Told,
    Unreached,
)

#: How often it is looked how the paths stand, in seconds; what has changed is told.
_LOOKED_SECONDS = 3.0
#: A round trip is told again when it has changed by more than this part.
_NOTEWORTHY = 0.25


@asynccontextmanager
async def open_node(begin: Begin, say: Callable[[Frame], None]) -> AsyncGenerator[Node]:
    """Hold a node open that is what *begin* says and tells its news by *say*.

    Raises:
        ConfigError: it cannot listen where it is told to.

    """
    membership = Membership(
        begin.key,
        begin.certificate,
        begin.authority,
        begin.rendezvous,
        begin.sealing,
        revocations=Revocations(NodeId(each) for each in begin.revoked),
    )

    async with hosting.open_host(begin) as host, trio.open_nursery() as tasks:
        node = Node(host, membership, tasks, say, relay=begin.relay, punches=begin.punches)
        async with node.gossip.running(), node.relaying.running():
            node.say_where()
            yield node
        tasks.cancel_scope.cancel()


class Node:
    """A member of the swarm, for as long as its host is open."""

    def __init__(
        self,
        host: Any,
        membership: Membership,
        tasks: trio.Nursery,
        say: Callable[[Frame], None],
        *,
        relay: bool,
        punches: bool,
    ) -> None:
        self._host, self._membership, self._tasks, self._say = host, membership, tasks, say
        self.gate = Gate(host, membership, tasks, met=self._met, parted=self._parted, told=self._told)
        self.relaying = Relaying(host, tasks, serves=relay, told=self._told)
        punch = (
            Punching(host, self.relaying, tasks, is_relayed=self._is_relayed, told=self._told).punch
            if punches
            else None
        )
        self.peers = Peers(host, self.gate, self.relaying, membership.revocations, tasks, punch=punch)
        self.tunnels = Tunnels(host, tasks, self.peers.connect, self._told)
        self.gossip = Gossip(
            host,
            membership,
            tasks,
            published=lambda data: say(Published(data)),
            said=lambda peer, channel, data: say(Said(peer, channel, data)),
        )
        self._seeker: Seeker | None = None
        self._where: Listening | None = None
        self._shown: dict[int, Stands] = {}
        self._round_trips: dict[NodeId, float] = {}
        tasks.start_soon(self._keep_looking)

    def __repr__(self) -> str:
        return f"<Node {len(self.gate.members)} members, {self.tunnels}>"

    def say_where(self) -> None:
        """Tell the gateway and whoever is met where this node is; again when its machine has other addresses."""
        told = tuple(str(each).rpartition("/p2p/")[0] for each in self._host.get_addrs())
        bound = tuple(str(each).partition("/p2p/")[0] for each in self._host.get_transport_addrs())
        where = Listening(told, bound)
        if where != self._where and (told or self._where is None):
            self._where = where
            self.gate.announce(told, relays=self.relaying.serves)
            self._say(where)

    async def obey(self, frames: AsyncIterator[ToChild]) -> None:
        """Do what *frames* say, in their order, until they end."""
        async for frame in frames:
            await self._do(frame)

    async def _do(self, order: ToChild) -> None:
        match order:
            case Expose() | Conceal() | Reach() | Leave():
                self._do_for_tunnels(order)
            case Join():
                self.peers.redial.bounded = True  # what is said gets round from now on, whoever is connected
                await self.gossip.join()
            case Publish(data):
                self.gossip.publish(data)
            case Say(peer, channel, data):
                self.gossip.say(NodeId(peer), channel, data)
            case Know(peer, addresses):
                self.peers.know(NodeId(peer), tidied(addresses))
            case Revoke(peer):
                self._revoke(NodeId(peer))
            case Seek():
                self._seek()
            case _:
                raise WireError(f"expected an order, got {type(order).__name__}")

    def _do_for_tunnels(self, order: Expose | Conceal | Reach | Leave) -> None:
        match order:
            case Expose(service, host, port):
                self.tunnels.exposed[service] = (host, port)
                self._say(Noted(service))
            case Conceal(service):
                self.tunnels.exposed.pop(service, None)
                self._say(Noted(service))
            case Reach():
                self._tasks.start_soon(self._reach, order)
            case Leave(number):
                self._leave(number)

    def _revoke(self, peer: NodeId) -> None:
        self._membership.revocations.add(peer)
        self.peers.redial.forget(peer)
        self.gate.banish(peer)

    def _seek(self) -> None:
        if self._seeker is None:
            self._seeker = Seeker(
                self._host, self._membership, found=self._found, told=self._told, sated=self._has_enough
            )
            self._tasks.start_soon(self._seeker.run, lambda: list(self.gate.members))

    def _has_enough(self) -> bool:
        return self.peers.redial.bounded and len(self.gate.members) >= DEGREE

    async def _reach(self, order: Reach) -> None:
        peer = NodeId(order.peer)
        self.peers.redial.want(peer, order.number, trio.current_time())
        self.peers.redial.know(peer, order.addresses, trio.current_time())
        try:
            port, seconds = await self.tunnels.reach(order.number, peer, order.service, order.addresses, order.port)
        except Unreachable as error:
            self.peers.redial.unwant(peer, order.number)
            self._say(Unreached(order.number, str(error)))
            return
        if seconds:
            self._round_trips[peer] = seconds / 3  # multistream's two round trips, and the question's
        self._say(Reached(order.number, port))
        self._look()

    def _leave(self, number: int) -> None:
        for path in self.tunnels.paths:
            if path.number == number:
                self.peers.redial.unwant(path.peer, number)
        self.tunnels.leave(number)
        self._shown.pop(number, None)

    # what is seen

    def _found(self, peer: NodeId, addresses: list[str]) -> None:
        self.peers.know(peer, tidied(addresses))

    def _met(self, peer: NodeId, connection: Any) -> None:
        shown = self.gate.members[peer]
        self.relaying.met(peer, relays=shown.relays)
        address = self.peers.met(peer, connection)
        self.peers.know(peer, shown.addresses)
        self._say(Met(peer, address, shown.addresses))
        self._look()
        if self._seeker is not None:
            self._tasks.start_soon(self._seeker.met, peer)

    def _parted(self, peer: NodeId) -> None:
        self.peers.parted(peer)
        self.relaying.parted(peer)
        self._say(Parted(peer))
        self._look()

    def _is_relayed(self, peer: NodeId) -> bool:
        return are_relayed(self.gate.connections(peer))

    def _told(self, level: Any, event: str, **facts: str) -> None:
        self._say(Told(level, event, facts))

    async def _keep_looking(self) -> None:
        while True:
            await trio.sleep(_LOOKED_SECONDS)
            self._look()
            self.say_where()

    def _look(self) -> None:
        """Tell how each path stands, if that has changed."""
        for path in self.tunnels.paths:
            now, before = self._standing(path), self._shown.get(path.number)
            if before is None or _differ(now, before):
                self._shown[path.number] = now
                self._say(now)

    def _standing(self, path: Path) -> Stands:
        if not self.gate.is_connected(path.peer):
            return Stands(path.number, "direct", None, self.peers.reason(path.peer))
        kind = "relayed" if self._is_relayed(path.peer) else "direct"
        measured = self._host.round_trip(ID.from_base58(path.peer))
        return Stands(path.number, kind, measured or self._round_trips.get(path.peer))


def _differ(one: Stands, other: Stands) -> bool:
    if (one.kind, one.reason) != (other.kind, other.reason):
        return True
    a, b = one.rtt_seconds or 0.0, other.rtt_seconds or 0.0
    return abs(a - b) > _NOTEWORTHY * max(a, b)
