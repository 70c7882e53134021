from __future__ import annotations

import anyio
import msgspec
import pytest
from live_gateway import free_port
from scripted_server import Answer, scripted
from swarmgate.cli.feed import feed_of
from swarmgate.cli.streaming import Gone
from swarmgate.config.settings import Settings
from swarmgate.sse import ServerEvent

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Textual and aiohttp know asyncio alone."""
    return "asyncio"


async def test_events_go_on_after_the_gateway_was_gone() -> None:
    """That it is gone is said, whether it refuses or ends."""
    with scripted(Answer(b"event: a\ndata: 1\n\n"), Answer(status=503), Answer(b"data: 2\n\n")) as (settings, asked):
        url = f"http://{settings.listen}"
        got: list[ServerEvent | Gone] = []
        with anyio.fail_after(50):
            async with feed_of(settings) as feed:
                async for event in feed.events():
                    got.append(event)
                    if len(got) == 4:
                        break
    assert got == [ServerEvent("a", b"1"), Gone(url), Gone(url), ServerEvent("message", b"2")]
    assert asked[0].headers["authorization"] == "Bearer k1"


async def test_what_became_of_an_order_is_said() -> None:
    """In words, whether it was taken, refused, or nobody was there."""
    taken, refused = Answer(b"{}"), Answer(b'{"error":{"message":"no node is called \'x\'"}}', status=404)
    with scripted(taken, taken, refused) as (settings, asked):
        async with feed_of(settings) as feed:
            assert await feed.drain("a", wanted=True) == "a: drained, nothing new is sent there"
            assert await feed.drain("a", wanted=False) == "a: in service again"
            assert await feed.drain("x", wanted=True) == "no node is called 'x'"
    assert msgspec.json.decode(asked[1].body) == {"node": "a", "drain": False}
    async with feed_of(Settings(listen=f"127.0.0.1:{free_port()}")) as feed:
        assert (await feed.drain("a", wanted=True)).startswith("a could not be changed: ")
