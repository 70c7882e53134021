"""The core's own parts, run through the kit that anybody's parts are run through."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress

import anyio
import pytest
from anyio.abc import SocketStream
from swarmgate.api import (
    Backend,
    Balancer,
    Delta,
    Endpoint,
    EngineError,
    GenerateRequest,
    Ledger,
    Lender,
    Loan,
    MemoryLedger,
    Probe,
    Service,
    Splitter,
    Transport,
    Unreachable,
    Way,
)
from swarmgate.builtin import FirstFree, Whole
from swarmgate.echo import EchoBackend, EchoOptions
from swarmgate.testing import (
    BackendContract,
    BalancerContract,
    FakeProbe,
    FakeTransport,
    LedgerContract,
    LenderContract,
    PluginContract,
    ProbeContract,
    SplitterContract,
    TransportContract,
)
from swarmgate.testing.streams import a_server, an_echo


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


class Tunnel:
    """Carries every connection through a listener of its own, as transports with tunnels do."""

    scheme = "tunnel"

    def __init__(self) -> None:
        self._exposed: dict[str, Endpoint] = {}
        self._held: list[Way] = []

    @asynccontextmanager
    async def reach(self, address: str) -> AsyncGenerator[Endpoint]:
        if address not in self._exposed:
            raise Unreachable(f"nobody is at {address}")
        target = self._exposed[address]

        async def forward(near: SocketStream) -> None:
            async with await anyio.connect_tcp(target.host, target.port) as far, anyio.create_task_group() as tasks:
                tasks.start_soon(_pump, near, far)
                await _pump(far, near)

        async with a_server(forward) as endpoint:
            self._held.append(Way(address=address))
            try:
                yield endpoint
            finally:
                self._held.remove(Way(address=address))

    @asynccontextmanager
    async def expose(self, service: Service, endpoint: Endpoint) -> AsyncGenerator[tuple[str, ...]]:
        address = f"tunnel://{service}/{endpoint.port}"
        self._exposed[address] = endpoint
        try:
            yield (address,)
        finally:
            del self._exposed[address]

    def ways(self) -> tuple[Way, ...]:
        return tuple(self._held)


async def _pump(source: SocketStream, sink: SocketStream) -> None:
    async for chunk in source:
        await sink.send(chunk)
    with suppress(OSError):
        await sink.send_eof()


class TestTunnel(TransportContract):
    @pytest.fixture(autouse=True)
    def _one_world(self) -> None:
        self._transport = Tunnel()

    @asynccontextmanager
    async def make(self) -> AsyncGenerator[Transport]:
        yield self._transport


class EchoLender:
    @asynccontextmanager
    async def lend(self) -> AsyncGenerator[Loan]:
        async with an_echo() as endpoint:
            yield Loan(endpoint=endpoint, labels={"memory_bytes": "1024"})


class TestEchoLender(LenderContract):
    @asynccontextmanager
    async def make(self) -> AsyncGenerator[Lender]:
        yield EchoLender()


class TestFakeProbe(ProbeContract):
    found: FakeProbe

    def setup_method(self) -> None:
        self.found = FakeProbe()

    @asynccontextmanager
    async def make(self) -> AsyncGenerator[Probe]:
        yield self.found

    @asynccontextmanager
    async def serve(self) -> AsyncGenerator[Endpoint]:
        async with an_echo() as endpoint:
            self.found.say(endpoint, {"memory_bytes": "1024"})
            yield endpoint
            self.found.say(endpoint, Unreachable(f"{endpoint} is gone"))


class MortalEcho(EchoBackend):
    """An echo whose engine can be killed: the answers under way fail, later ones do not."""

    def __init__(self) -> None:
        super().__init__()
        self.lives = 1

    @asynccontextmanager
    async def generate(self, request: GenerateRequest) -> AsyncGenerator[AsyncIterator[Delta]]:
        life = self.lives

        async def until_death(deltas: AsyncIterator[Delta]) -> AsyncGenerator[Delta]:
            async for delta in deltas:
                if self.lives != life:
                    raise EngineError("the engine was killed")
                yield delta

        async with super().generate(request) as deltas, aclosing(until_death(deltas)) as mortal:
            yield mortal


class TestMortalEcho(BackendContract):
    names_models = False
    mortal = True

    @asynccontextmanager
    async def make(self) -> AsyncGenerator[Backend]:
        yield MortalEcho()

    async def kill(self, backend: Backend) -> None:
        assert isinstance(backend, MortalEcho)
        backend.lives += 1
