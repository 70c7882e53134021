"""The gateway's side of the libp2p child: what it is told again when it begins anew, and who hears what it says.

The child may die at any time.  What stands here then is told to its successor: what we expose, which paths are held
and on which ports, whom we know.  What went through the old one is cut; paths stay where they were.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import structlog
from swarmgate.api import (
    Child,
    Endpoint,
    Frame,
    Membership,
    NodeId,
    Starting,
    Unreachable,
    Way,
    WireError,
)

from swarmgate_transport_libp2p import kept
from swarmgate_transport_libp2p.addresses import Address, with_peer, write
from swarmgate_transport_libp2p.attendants import Attendant, Attendants
from swarmgate_transport_libp2p.messages import (
    Begin,
    Channel,
    Conceal,
    Expose,
    FromChild,
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
    Refused,
    Revoke,
    Said,
    Say,
    Seek,
    Stands,
    Told,
    Unreached,
)
from swarmgate_transport_libp2p.options import HostOptions, severity
from swarmgate_transport_libp2p.standing import Held, Standing

#: How long a fresh child may take to listen, in seconds.  Importing libp2p takes three of one core, which fifty members
#: that start on a machine of two have after minutes; who is given up before is not offered to anybody.
_START_SECONDS = 600.0
#: How long the child may take to note what is exposed, in seconds.
_NOTED_SECONDS = 2.0
_ANY_PORT, _BESIDE = "/ip4/0.0.0.0/tcp/{port}", "/ip6/::"
_SEVERITIES = ("debug", "info", "warning", "error", "critical")


class Sidecar:
    """One libp2p host in a child, for all parts of this node that use it; :func:`open_sidecar` makes one."""

    def __init__(self, membership: Membership, options: HostOptions, file: Path, known: kept.Kept) -> None:
        command = [sys.executable, "-m", "swarmgate_transport_libp2p.child"]
        self.child: Child[Any] = Child("libp2p", command, FromChild, self)
        self.membership, self.options = membership, options
        #: Whether a ledger of ours spreads the offers, so that the discovery has not to.
        self.has_ledger = False
        self.keeper = kept.Keeper(file, known)
        #: The node's own folder, for what a ledger has to keep.
        self.state_dir = file.parent
        self._standing = Standing(known={NodeId(peer): at for peer, at in known.peers.items()})
        self._numbers = count(1)
        self._attendants = Attendants()
        self._noted: dict[str, anyio.Event] = {}
        self._listening: Listening | None = None
        #: Where the host of this run has listened: others know that.
        self._bound: tuple[str, ...] = ()
        self._refused = ""
        self._settled = anyio.Event()
        self._outbox: deque[Frame] = deque()
        self._news, self._to_keep = anyio.Event(), anyio.Event()
        self._log = structlog.get_logger("swarmgate.p2p")

    def __repr__(self) -> str:
        state = self._refused or ("listening" if self._listening else "starting")
        return f"<Sidecar {state}, {len(self.connected)} connected, {len(self._standing.held)} paths>"

    @property
    def connected(self) -> frozenset[NodeId]:
        """Return the members that are connected."""
        return self._attendants.connected

    async def addresses(self) -> tuple[str, ...]:
        """Return the multiaddresses that others may be told, once the host is up.

        Raises:
            Unreachable: it does not come up; the message says why.

        """
        with anyio.move_on_after(_START_SECONDS):
            while self._listening is None and not self._refused:
                await self._settled.wait()
        if self._listening is None:
            raise Unreachable(self._refused or f"libp2p did not start within {_START_SECONDS:g} s")
        return self._listening.announced

    @property
    def announced(self) -> tuple[str, ...]:
        """Return where this node says that it can be dialled; nothing while its host is down."""
        return self._listening.announced if self._listening is not None else ()

    def know(self, peer: NodeId, addresses: Sequence[str]) -> None:
        """Connect to *peer*, who may be at the multiaddresses *addresses*, and stay connected."""
        if peer != self.membership.id and (fresh := self._standing.learn(peer, addresses)):
            self.tell(Know(peer, fresh))

    def bootstrap(self, texts: Sequence[str]) -> None:
        """Begin with the members at the multiaddresses *texts*; one that cannot be read is logged and left out."""
        for text in texts:
            try:
                peer, where = with_peer(text)
            except WireError as error:
                self._log.warning("p2p.bootstrap_refused", reason=str(error))
            else:
                self.know(peer, (where,))

    def join(self) -> None:
        """Take part in the swarm's topic."""
        self._standing.joined = True
        self.tell(Join())

    def seek(self) -> None:
        """Look for members in the DHT."""
        self._standing.seeking = True
        self.tell(Seek())

    def publish(self, data: bytes) -> None:
        """Say *data*, which is sealed, to all; it may get lost."""
        self.tell(Publish(data))

    def say(self, peer: NodeId, channel: Channel, data: bytes) -> None:
        """Say *data* to *peer* alone; it may get lost."""
        self.tell(Say(peer, channel, data))

    def tell(self, frame: Frame) -> None:
        """Have *frame* told to the child; what would be told to none is told again by :meth:`started`, or lost."""
        self._outbox.append(frame)
        self._news.set()

    def attended(self, attendant: Attendant) -> AbstractContextManager[None]:
        """Tell *attendant* what others say, until the block is left."""
        return self._attendants.attended(attendant)

    @asynccontextmanager
    async def exposed(self, service: str, endpoint: Endpoint) -> AsyncGenerator[str]:
        """Let members reach *endpoint*; yield the address, with hints where this node is.

        Raises:
            Unreachable: the host does not come up.

        """
        hints = await self.addresses()
        name = self._standing.name_for(service)
        self._standing.exposed[name] = endpoint
        try:
            await self._order(name, Expose(name, endpoint.host, endpoint.port))
            yield write(Address(self.membership.id, name, hints))
        finally:
            del self._standing.exposed[name]
            with anyio.CancelScope(shield=True):
                await self._order(name, Conceal(name))

    async def _order(self, name: str, order: Expose | Conceal) -> None:
        """Give *order*, and wait until it is done; for a while, as the child may die over it."""
        self._noted[name] = anyio.Event()
        self.tell(order)
        with anyio.move_on_after(_NOTED_SECONDS):
            await self._noted[name].wait()
        del self._noted[name]

    @asynccontextmanager
    async def reached(self, address: Address, text: str, seconds: float) -> AsyncGenerator[Endpoint]:
        """Hold a path to *address* open, which is written as *text*; yield the local end.

        Raises:
            Unreachable: it cannot be opened within *seconds*; the message says why.

        """
        number, held = next(self._numbers), Held(address, text)
        self._standing.held[number] = held
        try:
            self.tell(Reach(number, address.peer, address.service, address.hints))
            with anyio.move_on_after(seconds):
                await held.settled.wait()
            if not held.port:
                reason = held.error or self._refused or f"no answer within {seconds:g} s"
                raise Unreachable(f"{text} cannot be reached: {reason}")
            yield Endpoint("127.0.0.1", held.port)
        finally:
            del self._standing.held[number]
            self.tell(Leave(number))

    def ways(self) -> tuple[Way, ...]:
        """Return how the bytes of each path that is held go at the moment."""
        return tuple(held.way for held in self._standing.held.values() if held.port)

    # what keeps it going

    async def run(self) -> None:
        """Carry frames to the child, and what is to be kept to the disk, for ever."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.keeper.run)
            while True:
                await self._news.wait()
                self._news = anyio.Event()
                frames = tuple(self._outbox)
                self._outbox.clear()
                try:
                    await self.child.tell(*frames)
                except Starting:
                    continue  # what stands is told by `started`

    # what the child's supervisor tells

    def started(self) -> Sequence[Frame]:
        """Tell a fresh child all that stands."""
        member, options, port = self.membership, self.options, self.keeper.kept.port
        asked = tuple(options.listen_maddrs)
        begin = Begin(
            key=member.key,
            certificate=member.certificate,
            authority=member.authority,
            rendezvous=member.rendezvous,
            sealing=member.sealing,
            revoked=tuple(member.revocations.peers),
            listen=(self._bound or asked) if asked else (_ANY_PORT.format(port=port),),
            may_move=not asked or (bool(self._bound) and self._bound != asked),
            beside=() if asked else (_BESIDE,),
            announce=tuple(options.announce_maddrs),
            max_connections=options.most_connections,
            relay=options.relay,
            punches=options.hole_punching,
            lib_log_level=severity(options.lib_log_level),
        )
        self._outbox.clear()
        return [begin, *self._standing.frames()]

    def died(self, reason: str) -> None:
        """Learn that the child is gone: nobody is connected any more."""
        self._log.warning("p2p.child_died", reason=reason)
        self._listening = None
        for held in self._standing.held.values():
            held.stands = None
        for peer in self.connected:
            self._parted(peer)

    def received(self, frame: Any) -> None:
        """Take one frame of the child's."""
        match frame:
            case Listening():
                self._up(frame)
            case Refused(reason):
                self._down(reason)
            case Noted(service):
                if service in self._noted:
                    self._noted[service].set()
            case Reached() | Unreached() | Stands():
                self._of_path(frame)
            case Met():
                self._met(NodeId(frame.peer), frame)
            case Parted(peer):
                self._parted(NodeId(peer))
            case Published() | Said():
                self._attendants.heard(frame)
            case Told():
                self._told(frame)
            case _:
                raise WireError(f"libp2p's child said {type(frame).__name__}")

    def revoked(self, peer: NodeId) -> None:
        """Have what *peer* has open closed."""
        self._standing.known.pop(peer, None)
        self.tell(Revoke(peer))

    def _up(self, frame: Listening) -> None:
        self._listening, self._bound, self._refused = frame, frame.bound, ""
        self._settle()
        # whole, as bootstrap_peers and tokens of machines elsewhere want them
        self._log.info("p2p.listening", addresses=[f"{each}/p2p/{self.membership.id}" for each in frame.announced])
        port = int(frame.bound[0].rpartition("/")[2]) if frame.bound else 0
        if port != self.keeper.kept.port:
            self.keeper.change(kept.Kept(port, self.keeper.kept.peers))

    def _settle(self) -> None:
        self._settled.set()
        self._settled = anyio.Event()

    def _down(self, reason: str) -> None:
        self._log.error("p2p.refused", reason=reason)
        self._refused = reason
        self._settle()
        for held in self._standing.held.values():
            held.settled.set()

    def _of_path(self, frame: Reached | Unreached | Stands) -> None:
        held = self._standing.held.get(frame.number)
        if held is None:
            return  # it has been left meanwhile
        match frame:
            case Stands():
                held.stands = frame
            case Reached(_, port):
                held.port = port
                held.settled.set()
            case Unreached(number, reason) if held.port:  # its listener could not come back after a restart
                self._log.warning("p2p.path_lost", address=held.text, reason=reason)
                held.stands = Stands(number, "direct", None, reason)
            case Unreached(_, reason):
                held.error = reason
                held.settled.set()

    def _told(self, frame: Told) -> None:
        ours = severity(self.options.log_level)
        if frame.event == "library_said" or _SEVERITIES.index(frame.level) >= _SEVERITIES.index(ours):
            getattr(self._log, frame.level)(f"p2p.{frame.event}", **frame.facts)

    def _met(self, peer: NodeId, frame: Met) -> None:
        addresses = ((frame.address,) if frame.address else ()) + frame.addresses
        if addresses:
            self._standing.learn(peer, addresses)
            self.keeper.change(kept.with_peer(self.keeper.kept, peer, addresses))
        if self._attendants.met(peer):
            self._log.info("p2p.met", peer=peer, address=frame.address)

    def _parted(self, peer: NodeId) -> None:
        if self._attendants.parted(peer):
            self._log.info("p2p.parted", peer=peer)
