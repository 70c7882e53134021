"""Opens the libp2p host as the gateway wants it, at another port if the usual one is taken."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

import structlog
from multiaddr import Multiaddr
from swarmgate.api import ConfigError

from swarmgate_transport_libp2p.child.mended.host import MendedHost
from swarmgate_transport_libp2p.child.mended.host import open_host as open_mended
from swarmgate_transport_libp2p.child.mended.limits import Limits
from swarmgate_transport_libp2p.messages import Begin

log = structlog.get_logger("swarmgate.libp2p")

#: More connections than anybody has.
_UNLIMITED = 1 << 20


@asynccontextmanager
async def open_host(begin: Begin) -> AsyncGenerator[MendedHost]:
    """Hold a host open that has the key, the addresses and the limits of *begin*.

    Raises:
        ConfigError: it cannot listen where it is told to, and may not move.

    """
    limits = Limits(connections=begin.max_connections or _UNLIMITED)
    async with AsyncExitStack() as stack:

        async def listening(*where: str) -> MendedHost:
            opened = open_mended(
                key_seed=begin.key,
                listen=where,
                announce=begin.announce or None,
                limits=limits,
                shared_port=begin.punches,
            )
            return await stack.enter_async_context(opened)

        try:
            host = await listening(*begin.listen)
        except ConfigError:
            if not begin.may_move:
                raise
            host = await listening(*(f"{text.rpartition('/')[0]}/0" for text in begin.listen))
        for where in begin.beside:
            await _listen_beside(host, where)
        yield host


async def _listen_beside(host: MendedHost, where: str) -> None:
    """Listen on *where*, too, an address such as /ip6/::, at the port that *host* has; at another if that is taken."""
    (port, *_) = (each.value_for_protocol("tcp") for each in host.get_transport_addrs())
    for wanted in (port, 0):
        try:
            await host.swarm.listen(Multiaddr(f"{where}/tcp/{wanted}"))
        except ConfigError as fault:
            log.debug("host.not_beside", reason=str(fault))
        else:
            return
