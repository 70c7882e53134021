"""The running gateway's events for a screen that must not block, and what it is told from there."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import aiohttp
import anyio
import msgspec

from swarmgate.cli.running import Said, address_of, headers_for, reason_of
from swarmgate.cli.streaming import AGAIN_SECONDS, Gone
from swarmgate.cli.watching import EVENTS
from swarmgate.config.settings import Settings
from swarmgate.errors import WireError
from swarmgate.sse import EventReader, ServerEvent

_OK = 200
_CONNECT_SECONDS, _LEAST_SECONDS = 2.0, 20.0
_COMMENTS = 4


class Feed:
    """Reads what the configured gateway sends, and gives it orders, by one session."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    def __repr__(self) -> str:
        return f"<Feed of {self._url}>"

    async def events(self) -> AsyncGenerator[ServerEvent | Gone]:
        """Yield events without end; that nobody is there is said before each time it is tried again."""
        while True:
            try:
                async with self._session.get(EVENTS) as response:
                    reader = EventReader()
                    if response.status == _OK:
                        async for piece in response.content.iter_any():
                            for event in reader.named(piece):
                                yield event
            except (aiohttp.ClientError, OSError, TimeoutError, WireError):
                pass
            yield Gone(self._url)
            await anyio.sleep(AGAIN_SECONDS)

    async def drain(self, node: str, *, wanted: bool) -> str:
        """Have nothing new sent to *node*, or again; return what came of it, in words."""
        order = msgspec.json.encode({"node": node, "drain": wanted})
        try:
            async with self._session.post("/v1/swarm/drain", data=order) as response:
                said = Said(self._url, response.status, await response.read())
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return f"{node} could not be changed: {error}"
        if said.status != _OK:
            return reason_of(said)
        return f"{node}: {'drained, nothing new is sent there' if wanted else 'in service again'}"


@asynccontextmanager
async def feed_of(settings: Settings) -> AsyncGenerator[Feed]:
    """Open a feed of the gateway that *settings* name."""
    silence = max(_LEAST_SECONDS, _COMMENTS * settings.ping_seconds)
    limits = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=silence)
    url = address_of(settings)
    async with aiohttp.ClientSession(
        url, headers=headers_for(settings, body=True), timeout=limits, trust_env=False
    ) as session:
        yield Feed(session, url)
