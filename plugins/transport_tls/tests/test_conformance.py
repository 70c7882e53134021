from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from swarmgate.api import Transport
from swarmgate.testing import PluginContract, TransportContract, a_swarm
from swarmgate.testing.streams import a_closed_port
from tls_pairs import opened


class TestPlugin(PluginContract):
    plugin = "tls"


class TestContract(TransportContract):
    @pytest.fixture(autouse=True)
    def _two_members(self) -> None:
        self.one, self.other = a_swarm()

    @asynccontextmanager
    async def make(self) -> AsyncGenerator[Transport]:
        async with opened(self.one) as made:
            yield made

    @asynccontextmanager
    async def far(self) -> AsyncGenerator[Transport]:
        async with opened(self.other) as made:
            yield made

    @asynccontextmanager
    async def unreachable(self, transport: Transport) -> AsyncGenerator[str]:
        with a_closed_port() as endpoint:
            yield f"tls://{self.other.id}@{endpoint}/gateway"
