"""The core's own parts, run through the kit that anybody's parts are run through."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from swarmgate.api import Backend, Balancer, Ledger, MemoryLedger, Splitter, Transport
from swarmgate.builtin import FirstFree, Whole
from swarmgate.echo import EchoBackend, EchoOptions
from swarmgate.testing import (
    BackendContract,
    BalancerContract,
    FakeTransport,
    LedgerContract,
    PluginContract,
    SplitterContract,
    TransportContract,
)


class TestBuiltin(PluginContract):
    plugin = "builtin"


class TestFirstFree(BalancerContract):
    failure_aware = False

    def make(self) -> Balancer:
        return FirstFree()


class TestWhole(SplitterContract):
    weighs = False

    def make(self) -> Splitter:
        return Whole()


class TestMemoryLedger(LedgerContract):
    @asynccontextmanager
    async def make(self) -> AsyncGenerator[Ledger]:
        yield MemoryLedger()


class TestEcho(BackendContract):
    names_models = False  # the dispatcher has chosen by name before it is asked

    @asynccontextmanager
    async def make(self) -> AsyncGenerator[Backend]:
        yield EchoBackend(EchoOptions(aliases=("parrot",)))


class TestSlowEcho(BackendContract):
    names_models = False

    @asynccontextmanager
    async def make(self) -> AsyncGenerator[Backend]:
        yield EchoBackend(EchoOptions(load_seconds=0.1, delay_seconds=0.001, slots=1))


class TestFakeTransport(TransportContract):
    tunnels = False

    @pytest.fixture(autouse=True)
    def _one_world(self) -> None:
        self._transport = FakeTransport()

    @asynccontextmanager
    async def make(self) -> AsyncGenerator[Transport]:
        yield self._transport
