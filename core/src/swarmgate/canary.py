"""Asks nodes for one token when nobody else does, so that a sick one is known before a request meets it.

What :func:`due` decides is pure; :func:`keep_trying` is a thin shell around it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial

import anyio

from swarmgate.dispatch import Dispatcher
from swarmgate.roster import Answering

#: How often it is looked whether somebody is due, in seconds.
_LOOK_SECONDS = 1.0


def due(nodes: Iterable[Answering], asked: Mapping[str, float], now: float, every: float) -> tuple[str, ...]:
    """Return whom of *nodes* to try out at the time *now*, by the name of the backend.

    One that is broken and may be tried again is, so that no request has to; one that does well is tried only when it
    is idle, and *every* so many seconds.  *asked* is when each was last tried, or last seen at work.
    """
    return tuple(
        node.backend
        for node in nodes
        if node.health.ready
        and not node.draining
        and node.in_flight == 0
        and (node.breaker == "half_open" or (node.breaker == "closed" and now - asked.get(node.backend, now) >= every))
    )


async def keep_trying(
    dispatcher: Dispatcher, names: Callable[[], Collection[str]], *, every: float, seconds: float
) -> None:
    """Try out those backends of *dispatcher* that are none of *names*, until cancelled.

    *names* are those that are looked after already: engines of ours die aloud.  A try that takes longer than *seconds*
    has failed.
    """
    asked: dict[str, float] = {}
    async with anyio.create_task_group() as tasks:
        while True:
            now = anyio.current_time()
            nodes = [node for node in dispatcher.nodes() if node.backend not in names()]
            for node in nodes:
                if node.in_flight or node.backend not in asked:
                    asked[node.backend] = now
            for name in due(nodes, asked, now, every):
                asked[name] = now
                tasks.start_soon(partial(dispatcher.try_out, name, seconds=seconds))
            await anyio.sleep(_LOOK_SECONDS)
