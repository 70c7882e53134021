from __future__ import annotations

import importlib
import secrets
import warnings
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
import trio

#: Opens a host, as libp2p ships it or mended; keywords go to its connection config or to its limits.
Opens = Callable[..., AbstractAsyncContextManager[Any]]
LOOPBACK = "/ip4/127.0.0.1/tcp/0"


@pytest.fixture
def anyio_backend() -> str:
    """Run on trio alone: that is what py-libp2p knows."""
    return "trio"


@pytest.fixture(scope="session")
def _libp2p() -> None:  # pyright: ignore[reportUnusedFunction]  # a fixture
    """Import libp2p once, when the first test needs it: it takes seconds, and warns of its own old habits."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module in ("libp2p.kad_dht.kad_dht", "libp2p.pubsub.gossipsub"):
            importlib.import_module(module)


@pytest.fixture(params=["vanilla", "mended"])
def kind(request: pytest.FixtureRequest) -> str:
    """Say which host: each fault is shown on libp2p's own, and its absence on ours."""
    return str(request.param)


@asynccontextmanager
async def _vanilla(listen: str, **config: Any) -> AsyncGenerator[Any]:
    from libp2p import new_host
    from libp2p.crypto.ed25519 import create_new_key_pair
    from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
    from libp2p.network.config import ConnectionConfig
    from libp2p.security.noise.transport import PROTOCOL_ID, Transport
    from multiaddr import Multiaddr

    key_pair = create_new_key_pair(secrets.token_bytes(32))
    noise = Transport(key_pair, noise_privkey=create_noise_key_pair().private_key)
    host = new_host(key_pair=key_pair, sec_opt={PROTOCOL_ID: noise}, connection_config=ConnectionConfig(**config))
    async with host.run([Multiaddr(listen)]):
        try:
            yield host
        finally:
            with trio.move_on_after(3, shield=True):
                await host.close()


@asynccontextmanager
async def _mended(listen: str, *, limits: dict[str, Any] | None = None, **options: Any) -> AsyncGenerator[Any]:
    from swarmgate_transport_libp2p.child.mended.host import open_host
    from swarmgate_transport_libp2p.child.mended.limits import Limits

    opened = open_host(key_seed=secrets.token_bytes(32), listen=[listen], limits=Limits(**limits or {}), **options)
    async with opened as host:
        yield host


@pytest.fixture
def vanilla(_libp2p: None) -> Opens:
    """Open a host as libp2p ships it, but for Noise alone."""

    def opens(listen: str = LOOPBACK, **config: Any) -> AbstractAsyncContextManager[Any]:
        return _vanilla(listen, **config)

    return opens


@pytest.fixture
def mended(_libp2p: None) -> Opens:
    """Open a mended host."""

    def opens(listen: str = LOOPBACK, **options: Any) -> AbstractAsyncContextManager[Any]:
        return _mended(listen, **options)

    return opens


@pytest.fixture
def opens(kind: str, vanilla: Opens, mended: Opens) -> Opens:
    """Open a host of the kind asked for, with nothing set."""
    return vanilla if kind == "vanilla" else mended


class Ends:
    """What tests do with hosts, whichever they are."""

    @staticmethod
    def port(host: Any) -> int:
        return int(host.get_transport_addrs()[0].value_for_protocol("tcp"))

    @staticmethod
    def info(host: Any, *addresses: str) -> Any:
        from libp2p.peer.peerinfo import PeerInfo
        from multiaddr import Multiaddr

        return PeerInfo(host.get_id(), [Multiaddr(a) for a in addresses or map(str, host.get_transport_addrs())])

    async def join(self, here: Any, there: Any, port: int | None = None) -> None:
        """Connect *here* with *there*, through another *port* of this machine if one is given."""
        addresses = () if port is None else (f"/ip4/127.0.0.1/tcp/{port}",)
        with trio.fail_after(10):
            await here.connect(self.info(there, *addresses))

    @staticmethod
    async def until(holds: Callable[[], object], seconds: float = 5.0) -> None:
        """Wait for what no event tells of."""
        with trio.fail_after(seconds):
            while not holds():  # noqa: ASYNC110  # libp2p has no event for it
                await trio.sleep(0.01)

    @staticmethod
    async def exactly(stream: Any, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            parts += await stream.read(size - len(parts))
        return bytes(parts)

    @staticmethod
    async def read_on(stream: Any, into: bytearray | None = None) -> None:
        """Read until it fails."""
        while True:
            data = await stream.read(65536)
            if into is not None:
                into += data

    @staticmethod
    async def write_on(stream: Any) -> None:
        """Write until it fails."""
        while True:
            await stream.write(bytes(65536))

    @staticmethod
    async def echo(stream: Any) -> None:
        from libp2p.network.stream.exceptions import StreamError

        try:
            while True:
                await stream.write(await stream.read(65536))
        except StreamError:
            await stream.reset()


@pytest.fixture
def ends() -> Ends:
    return Ends()


class Link:
    """A TCP path that can go silent, as an unplugged cable does, or break."""

    def __init__(self, nursery: trio.Nursery, target: int) -> None:
        self._nursery = nursery
        self._target = target
        self._flowing = trio.Event()
        self._flowing.set()
        self._sockets: list[trio.SocketStream] = []
        self.port = 0

    async def open(self) -> None:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listener.socket.getsockname()[1]
        self._nursery.start_soon(trio.serve_listeners, self._carry, [listener])

    def freeze(self) -> None:
        self._flowing = trio.Event()

    def thaw(self) -> None:
        self._flowing.set()

    async def cut(self) -> None:
        for stream in self._sockets:
            stream.socket.close()
        await trio.lowlevel.cancel_shielded_checkpoint()

    async def _carry(self, near: trio.SocketStream) -> None:
        far = await trio.open_tcp_stream("127.0.0.1", self._target)
        self._sockets += [near, far]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._pump, near, far)
            nursery.start_soon(self._pump, far, near)

    async def _pump(self, source: trio.SocketStream, sink: trio.SocketStream) -> None:
        try:
            while data := await source.receive_some(65536):
                await self._flowing.wait()
                await sink.send_all(data)
                await self._flowing.wait()
            await sink.aclose()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            await trio.aclose_forcefully(sink)


@asynccontextmanager
async def _link(target: int) -> AsyncGenerator[Link]:
    async with trio.open_nursery() as nursery:
        link = Link(nursery, target)
        await link.open()
        try:
            yield link
        finally:
            nursery.cancel_scope.cancel()
            await link.cut()


@pytest.fixture
def link() -> Callable[[int], AbstractAsyncContextManager[Link]]:
    """Open a path to a port of this machine."""
    return _link
