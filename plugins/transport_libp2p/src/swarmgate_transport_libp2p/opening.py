"""Opens the libp2p host once for all parts of a node that use it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import structlog
from swarmgate.api import PartContext, PluginError, background

from swarmgate_transport_libp2p import kept
from swarmgate_transport_libp2p.options import HostOptions
from swarmgate_transport_libp2p.sidecar import Sidecar


@asynccontextmanager
async def open_sidecar(options: HostOptions, context: PartContext) -> AsyncGenerator[Sidecar]:
    """Yield the node's libp2p host: the one that an earlier part has opened, or else a new one.

    Raises:
        ConfigError: this node is in no swarm.

    """
    try:
        shared = context.require(Sidecar, hint="none yet")
    except PluginError:
        pass
    else:
        shared.bootstrap(options.bootstrap_peers)
        _warn_of_ignored(options, shared.options)
        yield shared
        return
    membership = context.member("libp2p")
    file = kept.file_in(context.state_dir, membership.authority)
    sidecar = Sidecar(membership, options, file, await anyio.to_thread.run_sync(kept.load, file))
    sidecar.bootstrap((*membership.bootstrap, *options.bootstrap_peers))
    forget = membership.revocations.listen(sidecar.revoked)
    try:
        async with background() as tasks, sidecar.child:
            tasks.start_soon(sidecar.run)
            context.provide(Sidecar, sidecar)
            yield sidecar
    finally:
        forget()
        with anyio.CancelScope(shield=True):
            await sidecar.keeper.save()


def _warn_of_ignored(options: HostOptions, used: HostOptions) -> None:
    names = [name for name in HostOptions.__struct_fields__ if name != "bootstrap_peers"]
    plain = HostOptions()
    ignored = [name for name in names if getattr(options, name) not in (getattr(plain, name), getattr(used, name))]
    if ignored:
        log = structlog.get_logger("swarmgate.p2p")
        log.warning("p2p.options_ignored", options=ignored, reason="the part that is opened first says how the host is")
