from __future__ import annotations

import gc
import socket
from asyncio import Transport
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from anyio.abc import SocketStream
from anyio.streams.memory import MemoryObjectSendStream
from swarmgate import builtin, serve
from swarmgate.announcements import Announcement, Progress, Serving, Stopping, Warned
from swarmgate.config.blueprint import Blueprint, Choice
from swarmgate.config.settings import Settings
from swarmgate.echo import EchoOptions
from swarmgate.errors import ConfigError
from swarmgate.http.wire.swarm import SwarmDocument
from swarmgate.parts import BACKEND, BALANCER, LEDGER, SPLITTER, NoOptions, Options, Part, PartContext, Slot
from swarmgate.serve import run_until
from swarmgate.split import Share, SplitPlan
from swarmgate.testing import a_worker
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Run on the loops that uvicorn knows; uvloop is what people get."""
    return "asyncio", {"use_uvloop": request.param}


@dataclass
class Running:
    """A gateway that runs, what it has said, and a way to stop it."""

    said: list[Announcement] = field(default_factory=list[Announcement])
    serving: anyio.Event = field(default_factory=anyio.Event)
    wish: MemoryObjectSendStream[object] | None = None

    def announce(self, announcement: Announcement) -> None:
        self.said.append(announcement)
        if isinstance(announcement, Serving):
            self.serving.set()

    async def stop(self) -> None:
        assert self.wish is not None
        await self.wish.send(None)

    @property
    def url(self) -> str:
        return next(announcement.url for announcement in self.said if isinstance(announcement, Serving))

    async def connect(self) -> SocketStream:
        return await anyio.connect_tcp("127.0.0.1", int(self.url.rpartition(":")[2]))


def blueprint(tmp_path: Path, echo: EchoOptions | None = None, **settings: Any) -> Blueprint:
    def choice(slot: Slot[Any], part: Part[Any, Any], options: Options) -> Choice:
        return Choice(slot, part, options)

    return Blueprint(
        msgspec.structs.replace(Settings(listen="127.0.0.1:0", state_dir=str(tmp_path / "state")), **settings),
        (
            choice(LEDGER, builtin.swarmgate_ledger()[0], NoOptions()),
            choice(BALANCER, builtin.swarmgate_balancer()[0], NoOptions()),
            choice(SPLITTER, builtin.swarmgate_splitter()[0], NoOptions()),
            choice(BACKEND, builtin.swarmgate_backend()[0], echo or EchoOptions()),
        ),
    )


@asynccontextmanager
async def running(plan: Blueprint) -> AsyncGenerator[Running]:
    gateway = Running()
    gateway.wish, wishes = anyio.create_memory_object_stream[object](4)
    async with gateway.wish, anyio.create_task_group() as tasks:

        async def run() -> None:
            with wishes:
                await run_until(wishes, plan, announce=gateway.announce)

        tasks.start_soon(run)
        with anyio.fail_after(10):
            await gateway.serving.wait()
        yield gateway
        with suppress(anyio.BrokenResourceError):  # it may have stopped already
            gateway.wish.send_nowait(None)
            gateway.wish.send_nowait(None)


def chat(text: str, **fields: Any) -> bytes:
    body = msgspec.json.encode({"messages": [{"role": "user", "content": text}], **fields})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def until(stream: SocketStream, text: bytes) -> bytes:
    found = b""
    with anyio.fail_after(10):
        while text not in found:
            found += await stream.receive()
    return found


async def test_progress_is_told_until_all_is_ready(tmp_path: Path) -> None:
    """While the model loads its progress is told, and only then what is served and where."""
    async with running(blueprint(tmp_path, EchoOptions(load_seconds=0.3))) as gateway:
        progress = [said.percent for said in gateway.said if isinstance(said, Progress)]
        assert progress[0] == 0
        assert len(progress) > 2
        last = gateway.said[-1]
        assert isinstance(last, Serving)
        assert [card.name for card in last.cards] == ["echo"]
        assert not last.keys


async def test_the_swarm_is_seen_through_the_door(tmp_path: Path) -> None:
    """Who this gateway is, how long it has been up, and its models with how they do."""
    plan = blueprint(tmp_path, EchoOptions(load_seconds=0.2), name="home")
    async with running(plan) as gateway, await gateway.connect() as stream:
        await stream.send(b"GET /v1/swarm HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        found = msgspec.json.decode((await until(stream, b"]}")).partition(b"\r\n\r\n")[2], type=SwarmDocument)
    assert (found.gateway.name, found.gateway.id[:8]) == ("home", "12D3KooW")
    assert 0 < found.gateway.uptime_seconds < 10
    (model,) = found.models
    assert (model.name, model.backend, model.ready, model.plan) == ("echo", "echo", True, "models are not split")


async def test_who_watches_the_swarm_does_not_hold_up_the_end(tmp_path: Path) -> None:
    """The state comes at once; when the gateway stops the stream ends by itself, and nobody waits for it."""
    plan = blueprint(tmp_path, EchoOptions(), drain_seconds=1000.0)
    async with running(plan) as gateway, await gateway.connect() as stream:
        await stream.send(b"GET /v1/swarm/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await until(stream, b"event: swarm")
        await gateway.stop()
        await until(stream, b"0\r\n\r\n")  # the last chunk


async def test_a_split_model_is_told_with_its_places(tmp_path: Path) -> None:
    """When it is ready, over which machines."""

    class Halves:
        def plan(self, model: object, here: int, workers: object) -> SplitPlan:
            worker = a_worker("w1:50052")
            return SplitPlan(shares=(Share(worker=None, fraction=0.5), Share(worker=worker, fraction=0.5)))

    @asynccontextmanager
    async def opened(options: Any, context: PartContext) -> AsyncGenerator[Any]:
        yield Halves()

    plan = blueprint(tmp_path, EchoOptions(load_seconds=0.2))
    halves = Choice(SPLITTER, Part("halves", "For a test.", NoOptions, opened), NoOptions())
    choices = tuple(halves if choice.slot.name == SPLITTER.name else choice for choice in plan.choices)
    async with running(Blueprint(plan.settings, choices)) as gateway:
        told = [str(said) for said in gateway.said if isinstance(said, Progress)]
    assert told[-1] == "echo: ready, 50% here, 50% on w1:50052"


async def test_connections_are_kept_and_not_delayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One connection carries many requests, and small writes are sent at once (TCP_NODELAY)."""
    delays: list[bool] = []
    made = HttpToolsProtocol.connection_made

    def connection_made(self: HttpToolsProtocol, transport: Transport) -> None:
        made(self, transport)
        accepted = transport.get_extra_info("socket")
        delays.append(not accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    monkeypatch.setattr(HttpToolsProtocol, "connection_made", connection_made)
    async with running(blueprint(tmp_path)) as gateway, await gateway.connect() as stream:
        for word in (b"one", b"two"):
            await stream.send(chat(word.decode()))
            assert b"HTTP/1.1 200" in await until(stream, word)
    assert delays == [False]


async def test_answers_may_finish_when_the_gateway_stops(tmp_path: Path) -> None:
    """Told to stop, it takes no more, and the stream under way comes to its end."""
    async with running(blueprint(tmp_path, EchoOptions(delay_seconds=0.1))) as gateway:
        async with await gateway.connect() as stream:
            await stream.send(chat("one two three four", stream=True))
            await until(stream, b"one")
            await gateway.stop()
            await until(stream, b"[DONE]")
        stopping = [said for said in gateway.said if isinstance(said, Stopping)]
        assert stopping == [Stopping(answers=1, seconds=10.0)]
        with pytest.raises(OSError, match="connect"):
            await gateway.connect()


@pytest.mark.parametrize("twice", [False, True])
async def test_answers_that_do_not_finish_are_told(tmp_path: Path, twice: bool) -> None:
    """After drain_seconds, or the second wish, a stream ends with an error event, not just so."""
    plan = blueprint(tmp_path, EchoOptions(delay_seconds=0.2), drain_seconds=60.0 if twice else 0.1)
    async with running(plan) as gateway, await gateway.connect() as stream:
        await stream.send(chat("word " * 100, stream=True))
        await until(stream, b"word")
        await gateway.stop()
        if twice:
            await gateway.stop()
        assert b"[DONE]" not in await until(stream, b"shutting_down")


async def test_a_taken_port_is_told_before_anything_loads(tmp_path: Path) -> None:
    """The error comes at once, with the address and a remedy."""
    async with running(blueprint(tmp_path)) as gateway:
        address = gateway.url.removeprefix("http://")
        wish, wishes = anyio.create_memory_object_stream[object](1)
        with wish, wishes, pytest.raises(ConfigError, match=f"cannot listen on {address}"):
            await run_until(wishes, blueprint(tmp_path, listen=address), announce=gateway.announce)


async def test_a_cancelled_gateway_leaves_nothing_in_the_loop(tmp_path: Path) -> None:
    """Its connections end, and the one that runs next in the same loop answers: three times, with somebody there."""
    for _ in range(3):
        streams: list[SocketStream] = []
        with anyio.CancelScope() as scope:
            async with running(blueprint(tmp_path)) as gateway:
                streams.append(stream := await gateway.connect())
                await stream.send(chat("hello"))
                await until(stream, b"hello")
                scope.cancel()
        async with streams[0] as stream:
            with anyio.fail_after(10), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await stream.receive()


async def test_an_open_door_is_warned_of(tmp_path: Path) -> None:
    """Listening beyond this machine without keys is said aloud; with keys it is not."""
    async with running(blueprint(tmp_path, listen="0.0.0.0:0")) as gateway:
        assert [said for said in gateway.said if isinstance(said, Warned)]
        assert gateway.url.startswith("http://127.0.0.1:")
    async with running(blueprint(tmp_path, listen="0.0.0.0:0", api_keys=("k",))) as gateway:
        assert not [said for said in gateway.said if isinstance(said, Warned)]


async def test_what_is_there_when_it_opens_is_no_garbage(tmp_path: Path) -> None:
    """The collector does not look it through while requests are answered, and does again afterwards."""
    before = gc.get_freeze_count()
    async with running(blueprint(tmp_path)):
        assert gc.get_freeze_count() > before + 10_000
    assert gc.get_freeze_count() < 10_000


async def test_a_stop_is_heard_and_not_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However seldom the server looks at the clock, it stops when it is told to; answers have a date all the same."""
    monkeypatch.setattr(serve, "_DATE_SECONDS", 3600.0)
    with anyio.fail_after(30):
        async with running(blueprint(tmp_path)) as gateway, await gateway.connect() as stream:
            await stream.send(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert b"\ndate: " in await until(stream, b"\r\n\r\n")
            await gateway.stop()
