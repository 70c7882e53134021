"""The libp2p process: frames in on stdin, frames out on stdout, a host in between.

Run as ``python -m swarmgate_transport_libp2p.child``.  It ends when stdin does.
"""

from __future__ import annotations

import importlib
import os
import sys

import trio
from swarmgate.api import ConfigError

from swarmgate_transport_libp2p.child import omitted
from swarmgate_transport_libp2p.child.mended.version import fits
from swarmgate_transport_libp2p.child.pipes import Pipes
from swarmgate_transport_libp2p.messages import Begin, Refused


async def run() -> None:
    """Be what the first frame says, and do what the others do."""
    pipes = Pipes()
    async with trio.open_nursery() as tasks:
        tasks.start_soon(pipes.write)
        frames = pipes.frames()
        begin = await anext(frames, None)
        if begin is None:
            os._exit(0)
        if not isinstance(begin, Begin):
            sys.exit(f"expected Begin first, got {type(begin).__name__}")

        if fits():
            omitted.leave_out()
        importlib.import_module("libp2p")  # which may set up its loggers; they are taken over below
        from swarmgate_transport_libp2p.child import speaking
        from swarmgate_transport_libp2p.child.node import open_node

        speaking.listen(pipes.say, begin.lib_log_level)
        try:
            async with open_node(begin, pipes.say) as node:
                await node.obey(frames)
                # all of it is in this process, and ends with it; the library takes its time to close
                os._exit(0)
        except ConfigError as error:
            pipes.say(Refused(str(error)))
            async for _frame in frames:  # stay, so that this is an answer and not a death
                pass
            os._exit(0)


if __name__ == "__main__":
    trio.run(run)
