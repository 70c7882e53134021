"""The transport: addresses on one side, the forwarding child on the other."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread
import structlog
from swarmgate.api import ConfigError, Endpoint, Membership, NodeId, Service, Unreachable, Way, background

from swarmgate_transport_tls.addresses import SCHEME, Address, numbered, read, read_endpoint
from swarmgate_transport_tls.forwarder import Forwarder, Held
from swarmgate_transport_tls.hosts import announced, is_wildcard, own_addresses
from swarmgate_transport_tls.messages import Expose, Listen, Reach

#: Where to listen unless the configuration says otherwise: below the ports that systems give out by themselves.
DEFAULT_PORT = 7479


class TlsTransport:
    """Reaches ``tls://PEER@HOST:PORT/SERVICE``: both sides show that they belong to the swarm, and the peer is pinned.

    *listen* is None for every interface and the default port, or any free one.
    """

    def __init__(
        self, membership: Membership, forwarder: Forwarder, *, listen: Endpoint | None, announce: Sequence[Endpoint]
    ) -> None:
        self._membership, self._forwarder = membership, forwarder
        self._listen, self._announce = listen, tuple(announce)
        self._listening: Held | None = None
        self._asking = anyio.Lock()
        self._exposed: set[str] = set()
        self._paths: dict[int, tuple[str, Held]] = {}
        self._log = structlog.get_logger("swarmgate.transport_tls")

    def __repr__(self) -> str:
        return f"<TlsTransport of {self._membership.id}, {len(self._exposed)} exposed, {len(self._paths)} reached>"

    @property
    def scheme(self) -> str:
        """Return ``tls``."""
        return SCHEME

    @property
    def pid(self) -> int | None:
        """Return the number of the process that carries the bytes, None while there is none."""
        return self._forwarder.child.pid

    @asynccontextmanager
    async def reach(self, address: str) -> AsyncGenerator[Endpoint]:
        """Hold a path to *address*, and yield where on loopback it begins.

        The path stays when the peer goes: connections are cut then, new ones fail, and it is tried again and again.
        Any process on this machine can connect to the endpoint.

        Raises:
            Unreachable: the peer does not answer, is somebody else, or would not let us in; the message says which.

        """
        try:
            there = read(address)
        except ConfigError as fault:
            raise Unreachable(str(fault)) from None
        if there.peer in self._membership.revocations:
            raise Unreachable(f"{address}: {there.peer} is revoked")
        frame = Reach(self._forwarder.next_id, there.peer, there.host, there.port, there.service)
        held = await self._held(frame, address)
        self._paths[frame.id] = address, held
        try:
            yield _endpoint(held)
        finally:
            del self._paths[frame.id]
            await self._forwarder.drop(held)

    @asynccontextmanager
    async def expose(self, service: Service, endpoint: Endpoint) -> AsyncGenerator[tuple[str, ...]]:
        """Let members of the swarm reach *endpoint* while held; yield an address for each host they may dial.

        Raises:
            Unreachable: the port cannot be listened on; the message says why, and the remedy.

        """
        listening = _endpoint(await self._listened())
        try:
            name = numbered(service, frozenset(self._exposed))
        except ConfigError as fault:
            raise Unreachable(str(fault)) from None
        self._exposed.add(name)
        try:
            held = await self._held(Expose(self._forwarder.next_id, name, endpoint.host, endpoint.port), name)
            try:
                yield await self._addresses(listening, name)
            finally:
                await self._forwarder.drop(held)
        finally:
            self._exposed.discard(name)

    async def addresses(self, exposed: str) -> tuple[str, ...]:
        """Return where members may dial now: this machine's addresses come and go."""
        held = self._listening
        return await self._addresses(_endpoint(held), read(exposed).service) if held and held.done else ()

    async def _addresses(self, listening: Endpoint, name: str) -> tuple[str, ...]:
        # in a thread: finding the system's library may start a process
        found = await anyio.to_thread.run_sync(own_addresses) if is_wildcard(listening.host) else []
        hosts = announced(listening, self._announce, found)
        return tuple(str(Address(self._membership.id, host.host, host.port, name)) for host in hosts)

    def ways(self) -> tuple[Way, ...]:
        """Return the paths held open: all are direct, and *reason* says what is amiss."""
        return tuple(
            Way(address=address, kind="direct", rtt_seconds=held.rtt_seconds, reason=held.reason)
            for address, held in self._paths.values()
        )

    async def _held(self, frame: Reach | Expose, address: str) -> Held:
        try:
            return await self._forwarder.hold(frame)
        except Unreachable as error:
            raise Unreachable(f"{address}: {error}") from None

    async def _listened(self) -> Held:
        """Listen with the first exposure; the listener stays, so that its port does."""
        async with self._asking:
            if self._listening is None:
                wanted = self._listen or Endpoint("", DEFAULT_PORT)
                frame = Listen(self._forwarder.next_id, wanted.host, wanted.port, any_port=self._listen is None)
                try:
                    held = await self._whole(frame)
                except Unreachable as error:
                    raise Unreachable(
                        f"cannot listen on {wanted}: {error}; choose another address with listen (port 0 takes any)"
                    ) from None
                found = _endpoint(held)
                if self._listen is None and found.port != DEFAULT_PORT:
                    self._log.warning("transport.port_taken", address=str(found), reason=f"{DEFAULT_PORT} is taken")
                self._log.info("transport.listening", address=str(found))
                self._listening = held
            return self._listening

    async def _whole(self, frame: Listen) -> Held:
        """Ask for *frame* without being interrupted: else the child would listen, and nobody would know."""
        held: list[Held] = []
        with anyio.CancelScope(shield=True):
            held.append(await self._forwarder.hold(frame))
        return held[0]


@asynccontextmanager
async def open_transport(
    membership: Membership, *, listen: str, announce: Sequence[str], timeout_seconds: float
) -> AsyncGenerator[TlsTransport]:
    """Hold the transport open, with its child.

    Raises:
        ConfigError: *listen* or *announce* cannot be read.

    """
    at = _read("listen", listen) if listen else None
    hosts = [_read("announce", text, port=0) for text in announce]
    forwarder = Forwarder(membership, timeout_seconds=timeout_seconds)
    async with forwarder.child, background() as tasks:

        def revoked(peer: NodeId) -> None:
            tasks.start_soon(forwarder.revoke, peer)

        deaf = membership.revocations.listen(revoked)
        try:
            yield TlsTransport(membership, forwarder, listen=at, announce=hosts)
        finally:
            deaf()


def _read(option: str, text: str, *, port: int | None = None) -> Endpoint:
    try:
        return read_endpoint(text, port=port)
    except ConfigError as fault:
        raise ConfigError(f"{option}: {fault}") from None


def _endpoint(held: Held) -> Endpoint:
    if held.done is None:
        raise Unreachable("the TLS forwarder has not answered yet")
    return Endpoint(held.done.host, held.done.port)
