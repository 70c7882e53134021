"""Reaches members' services through libp2p's streams, and lets them reach ours."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from swarmgate.api import Endpoint, Service, Unreachable, Way, WireError

from swarmgate_transport_libp2p.addresses import SCHEME, read, write
from swarmgate_transport_libp2p.sidecar import Sidecar


class P2pTransport:
    """Yields loopback endpoints whose bytes the libp2p child carries to the peer that the address names."""

    def __init__(self, sidecar: Sidecar, *, timeout_seconds: float = 20.0) -> None:
        self._sidecar = sidecar
        self._timeout = timeout_seconds

    def __repr__(self) -> str:
        return f"<P2pTransport by {self._sidecar}>"

    @property
    def scheme(self) -> str:
        """Return ``p2p``."""
        return SCHEME

    @asynccontextmanager
    async def reach(self, address: str) -> AsyncGenerator[Endpoint]:
        """Connect to the peer that *address* names, ask whether the service is there, and yield the local end.

        The peer is whom the address names, a member of this swarm, or else nothing is carried.  A path outlives the
        connection below it, and the child: who dials the endpoint meanwhile is reset, and later reaches the peer again.

        Raises:
            Unreachable: within the time-out the peer could not be connected, showed to be no member, or does not offer
                the service; or it is no ``p2p://`` address.

        """
        try:
            parsed = read(address)
        except WireError as error:
            raise Unreachable(str(error)) from None
        async with self._sidecar.reached(parsed, address, self._timeout) as endpoint:
            yield endpoint

    @asynccontextmanager
    async def expose(self, service: Service, endpoint: Endpoint) -> AsyncGenerator[tuple[str, ...]]:
        """Let members reach *endpoint* while held; yield the one address they use.

        Raises:
            Unreachable: the host cannot listen; the message says why.

        """
        async with self._sidecar.exposed(service, endpoint) as address:
            yield (address,)

    async def addresses(self, exposed: str) -> tuple[str, ...]:
        """Return the address with the hints of today; the same as ever while libp2p is being restarted."""
        hints = self._sidecar.announced
        return (write(read(exposed)._replace(hints=hints)) if hints else exposed,)

    def ways(self) -> tuple[Way, ...]:
        """Return how the bytes of each path that is held go at the moment."""
        return self._sidecar.ways()
