from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from functools import partial

import anyio
import pytest
from swarmgate.echo import EchoBackend
from swarmgate.errors import EngineError
from swarmgate.http.door import Door
from swarmgate.http.doorway import Doorway
from swarmgate.http.lasting import LastingStream
from visitor import Visitor

pytestmark = pytest.mark.anyio
MakeDoor = Callable[..., Door]


class Source:
    """Events for a stream: three, and then nothing until it is closed."""

    def __init__(self) -> None:
        self.closed = anyio.Event()

    async def events(self) -> AsyncGenerator[bytes]:
        try:
            for number in range(3):
                yield b"data: %d\n\n" % number
            await anyio.sleep_forever()
        finally:
            self.closed.set()


def app_of(door: Door, events: AsyncGenerator[bytes]) -> Doorway:
    return Doorway(LastingStream(door, events), door.metrics, door.records)  # pyright: ignore[reportArgumentType]


async def test_events_go_out_until_the_client_hangs_up(make_door: MakeDoor) -> None:
    """The head and a comment come first; when the client is gone the source is closed."""
    door, source, visitor = make_door(EchoBackend()), Source(), Visitor(method="GET")
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(visitor.visit, app_of(door, source.events())))
            await visitor.until("data: 2\n\n")
            visitor.hang_up()
        await source.closed.wait()
    assert visitor.status == 200
    assert visitor.answered["content-type"].startswith("text/event-stream")
    assert visitor.content == b": ping\n\ndata: 0\n\ndata: 1\n\ndata: 2\n\n"


async def test_a_silent_stream_has_comments(make_door: MakeDoor) -> None:
    """As often as the door says."""
    door, visitor = make_door(EchoBackend(), ping_seconds=0.01), Visitor(method="GET")
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(visitor.visit, app_of(door, Source().events())))
            await visitor.until("data: 2\n\n: ping\n\n: ping\n\n")
            visitor.hang_up()


async def test_the_gateway_s_stopping_ends_it(make_door: MakeDoor) -> None:
    """At once and in order, so that nobody waits for what would never end; a later one ends as it begins."""
    door, source, visitor = make_door(EchoBackend()), Source(), Visitor(method="GET")
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(visitor.visit, app_of(door, source.events())))
            await visitor.until("data: 2\n\n")
            door.close()
        await source.closed.wait()
        late = await Visitor(method="GET").visit(app_of(door, Source().events()))
    assert door.closing
    assert visitor.complete
    assert (late.complete, b"data" in late.content) == (True, False)


async def test_a_source_that_fails_says_so_in_the_stream(make_door: MakeDoor) -> None:
    """The client gets the error as an event, and the end."""

    async def broken() -> AsyncGenerator[bytes]:
        yield b"data: 0\n\n"
        raise EngineError("no more")

    visitor = await Visitor(method="GET").visit(app_of(make_door(EchoBackend()), broken()))
    assert visitor.complete
    assert visitor.events[-1]["error"]["message"] == "no more"
