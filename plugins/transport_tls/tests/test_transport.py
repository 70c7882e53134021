from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from swarmgate.api import Transport
from swarmgate.testing import PluginContract, TransportContract, a_swarm
from swarmgate.testing.streams import a_closed_port
from swarmgate_transport_tls.transport import open_transport


class TestPlugin(PluginContract):
    plugin = "tls"


class TestContract(TransportContract):
    @pytest.fixture(autouse=True)
    def _two_members(self) -> None:
        self.one, self.other = a_swarm()

    @asynccontextmanager
    async def make(self) -> AsyncGenerator[Transport]:
        async with open_transport(self.one, listen="127.0.0.1:0", announce=[], timeout_seconds=5) as transport:
            yield transport

    @asynccontextmanager
    async def far(self) -> AsyncGenerator[Transport]:
        async with open_transport(self.other, listen="127.0.0.1:0", announce=[], timeout_seconds=5) as transport:
            yield transport

    @asynccontextmanager
    async def unreachable(self, transport: Transport) -> AsyncGenerator[str]:
        with a_closed_port() as endpoint:
            yield f"tls://{self.other.id}@{endpoint}/gateway"
