"""Carries bytes for the gateway until its standard input ends."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable

from swarmgate.api import Frame

from swarmgate_transport_tls.child.pipes import Pipes
from swarmgate_transport_tls.child.serving import Serving
from swarmgate_transport_tls.messages import Configure, ToChild

#: Two for each tunnel; as many as the machine allows, and no more than are of use.
_MOST_FILES = 1 << 16
_FAILED = 70


class Worker:
    """What the child does, frame by frame."""

    def __init__(self) -> None:
        self._serving: Serving | None = None
        self.ended = asyncio.Event()
        self._pipes = Pipes(self.take, self.ended.set)

    def __repr__(self) -> str:
        return f"<Worker {self._serving!r}>"

    def take(self, frame: ToChild) -> None:
        """Take a frame; who we are comes first."""
        if self._serving is None:
            if not isinstance(frame, Configure):
                sys.exit(f"expected Configure first, got {type(frame).__name__}")
            tell: Callable[[Frame], None] = self._pipes.tell
            self._serving = Serving(frame, tell)
            return
        self._serving.take(frame)

    async def close(self) -> None:
        """End what is open."""
        if self._serving is not None:
            await self._serving.close()


async def work() -> None:
    """Work until the gateway has gone."""
    asyncio.get_running_loop().set_exception_handler(_end_with)
    worker = Worker()
    await worker.ended.wait()
    async with asyncio.timeout(1.0):
        await worker.close()


def _end_with(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """End the process when something fails that nobody expects: another one takes its place."""
    loop.default_exception_handler(context)
    if isinstance(context.get("exception"), Exception):
        sys.stderr.flush()
        os._exit(_FAILED)


def main() -> None:
    """Run the loop: uvloop's where there is one."""
    factory = None
    if sys.platform != "win32":
        import resource

        import uvloop

        factory = uvloop.new_event_loop
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _MOST_FILES if most == resource.RLIM_INFINITY else min(most, _MOST_FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(work())


if __name__ == "__main__":
    main()
