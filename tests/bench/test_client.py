from __future__ import annotations

import asyncio

import pytest
from sidebyside.client import chat_body, talk

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
PIECE = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'


async def serve(*writes: bytes) -> asyncio.Server:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for data in writes:
            writer.write(data)
            await writer.drain()
        writer.close()

    return await asyncio.start_server(answer, "127.0.0.1", 0)


def test_every_piece_has_its_moment() -> None:
    """The moments rise, the first byte is no later than the first piece, and the end is last."""

    async def scene() -> None:
        piece = b"%x\r\n%b\r\n" % (len(PIECE), PIECE)
        async with await serve(HEAD, piece, piece, b"0\r\n\r\n") as server:
            spoken = await talk(server.sockets[0].getsockname()[1], chat_body("hi", system="be kind", max_tokens=2))
            await spoken.pieces(2)
            await spoken.end()
        assert spoken.text == ["a", "a"]
        assert spoken.began < spoken.first_byte <= spoken.moments[0] <= spoken.moments[1] <= spoken.ended
        assert spoken.wait > 0

    asyncio.run(scene())


def test_a_stream_that_breaks_off_is_an_error() -> None:
    """A measurement of half an answer is no measurement."""

    async def scene() -> None:
        async with await serve(HEAD) as server:
            spoken = await talk(server.sockets[0].getsockname()[1], chat_body("hi", max_tokens=2))
            with pytest.raises(RuntimeError, match="the stream ended after 0 pieces"):
                await spoken.pieces(1)
            with pytest.raises(RuntimeError, match="the stream failed"):
                await spoken.end()

    asyncio.run(scene())
