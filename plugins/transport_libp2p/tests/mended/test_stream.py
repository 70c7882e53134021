from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import trio

pytestmark = [pytest.mark.anyio, pytest.mark.swarm]
Opens = Callable[..., AbstractAsyncContextManager[Any]]


class Held:
    """A stream as the side that accepted it has it, held until the test is done with it."""

    def __init__(self) -> None:
        self._come = trio.Event()
        self._done = trio.Event()
        self.stream: Any = None

    async def handle(self, stream: Any) -> None:
        self.stream = stream
        self._come.set()
        await self._done.wait()

    async def come(self) -> Any:
        with trio.fail_after(5):
            await self._come.wait()
        return self.stream

    def release(self) -> None:
        self._done.set()


async def test_a_reader_may_take_his_time(kind: str, opens: Opens, ends: Any) -> None:
    """A writer waits for a reader who is busy for six seconds; libp2p's own resets the stream after five."""
    held = Held()
    size = 20_000_000
    async with opens() as client, opens() as server:
        server.set_stream_handler("/held/1", held.handle)
        await ends.join(client, server)
        stream = await client.new_stream(server.get_id(), ["/held/1"])
        faults: list[str] = []

        async def pour() -> None:
            try:
                await stream.write(bytes(size))
            except Exception as fault:  # noqa: BLE001  # its name is what is looked at
                faults.append(type(fault).__name__)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(pour)
            there = await held.come()
            await trio.sleep(6)
            assert faults == ([] if kind == "mended" else ["StreamReset"])
            if kind == "mended":
                with trio.fail_after(10):
                    assert len(await ends.exactly(there, size)) == size
        held.release()


async def test_a_stalled_reader_holds_only_his_window(mended: Opens, ends: Any) -> None:
    """A reader who does not read makes his side keep the window and no more, and other streams are as quick as ever."""
    held = Held()
    async with mended() as client, mended() as server:
        server.set_stream_handler("/held/1", held.handle)
        server.set_stream_handler("/echo/1", ends.echo)
        await ends.join(client, server)
        stream = await client.new_stream(server.get_id(), ["/held/1"])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.write, bytes(8_000_000))
            state = (await held.come()).muxed_stream.state
            await ends.until(lambda: not stream.muxed_stream.state.window)
            await ends.until(lambda: len(state.inbox) > 1024 * 1024 - 100)  # agreeing on the protocol took some
            with trio.fail_after(2):
                other = await client.new_stream(server.get_id(), ["/echo/1"])
                await other.write(b"quick")
                assert await ends.exactly(other, 5) == b"quick"
            assert len(state.inbox) <= 1024 * 1024
            nursery.cancel_scope.cancel()
        held.release()


async def test_a_reset_is_not_an_end(kind: str, opens: Opens, ends: Any) -> None:
    """Half of a message and then a reset raises StreamReset; libp2p's own says that the stream ended there."""
    held = Held()
    async with opens() as client, opens() as server:
        server.set_stream_handler("/held/1", held.handle)
        await ends.join(client, server)
        stream = await client.new_stream(server.get_id(), ["/held/1"])
        there = await held.come()
        await there.write(b"half of it")
        assert await ends.exactly(stream, 10) == b"half of it"
        await there.reset()
        with trio.fail_after(5), pytest.raises(Exception, match=r".*") as raised:
            await stream.read(1)
        assert type(raised.value).__name__ == ("StreamReset" if kind == "mended" else "StreamEOF")
        held.release()


async def test_an_end_is_an_end(mended: Opens, ends: Any) -> None:
    """After the other side's end, what it sent is read to the last byte, then the end; and our half goes on."""
    from libp2p.network.stream.exceptions import StreamEOF

    held = Held()
    async with mended() as client, mended() as server:
        server.set_stream_handler("/held/1", held.handle)
        await ends.join(client, server)
        stream = await client.new_stream(server.get_id(), ["/held/1"])
        there = await held.come()
        await there.write(b"whole")
        await there.close_write()
        assert await ends.exactly(stream, 5) == b"whole"
        with pytest.raises(StreamEOF):
            await stream.read(1)
        await stream.write(b"and back")
        assert await ends.exactly(there, 8) == b"and back"
        held.release()


async def test_a_closed_stream_tells_the_writer_to_stop(mended: Opens, ends: Any) -> None:
    """Who writes on to a stream that the other side has closed is told so, not made to wait."""
    held = Held()
    async with mended() as client, mended() as server:
        server.set_stream_handler("/held/1", held.handle)
        await ends.join(client, server)
        stream = await client.new_stream(server.get_id(), ["/held/1"])
        await (await held.come()).close()
        with trio.fail_after(5), pytest.raises(Exception, match=r".*") as raised:
            await ends.write_on(stream)
        assert type(raised.value).__name__ == "StreamReset"
        held.release()


async def test_writes_do_not_mix(kind: str, opens: Opens, ends: Any) -> None:
    """Messages of 300 kB that two tasks write at once arrive whole; libp2p's own mixes them above 64 kB."""
    held = Held()
    size = 300_000
    async with opens() as client, opens() as server:
        server.set_stream_handler("/held/1", held.handle)
        await ends.join(client, server)
        stream = await client.new_stream(server.get_id(), ["/held/1"])
        there = await held.come()
        async with trio.open_nursery() as nursery:
            for letter in (b"a", b"b"):
                nursery.start_soon(stream.write, letter * size)
            whole = await ends.exactly(there, 2 * size)
        changes = sum(here != following for here, following in itertools.pairwise(whole))
        assert (changes == 1) == (kind == "mended")
        held.release()


@pytest.mark.parametrize("upstream", ["vanilla", "mended"])
async def test_bytes_arrive_intact(upstream: str, vanilla: Opens, mended: Opens, ends: Any) -> None:
    """Eight megabytes in odd pieces, there and back, are the same bytes, to a host of ours and to libp2p's own."""
    dice = random.Random(3)
    data = dice.randbytes(8_000_000)
    async with mended() as client, (vanilla if upstream == "vanilla" else mended)() as server:
        server.set_stream_handler("/echo/1", ends.echo)
        await ends.join(client, server)
        stream = await client.new_stream(server.get_id(), ["/echo/1"])

        async def pour() -> None:
            at = 0
            while at < len(data):
                size = int(dice.choice([1, 37, 4096, 65_507, 65_536, 300_001]))
                await stream.write(data[at : at + size])
                at += size
            await stream.close_write()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(pour)
            back = hashlib.sha256(await ends.exactly(stream, len(data))).digest()
        assert back == hashlib.sha256(data).digest()
