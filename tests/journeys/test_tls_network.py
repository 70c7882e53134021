"""TLS tunnels over machines of their own: network namespaces on a switch whose cables can be pulled."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

import anyio
import pytest
from anyio.from_thread import BlockingPortal
from namespaces import Lan, lan, why_not
from swarmgate.api import GATEWAY, Endpoint, Membership
from swarmgate.testing import a_swarm
from swarmgate.testing.streams import a_server, an_echo, converse
from swarmgate_transport_tls.transport import TlsTransport, open_transport
from tls_pairs import is_cut, until

_WHY_NOT = why_not()
pytestmark = [
    pytest.mark.journey,
    pytest.mark.skipif(bool(_WHY_NOT), reason=_WHY_NOT or "they can be made"),
]

T = TypeVar("T")
#: A silent peer is noticed within so many seconds.
_NOTICED = 5.0


@pytest.fixture
def net() -> Iterator[Lan]:
    """Put two machines on a switch."""
    with lan("one", "two") as made:
        yield made


def on(net: Lan, host: str, do: Callable[[], Coroutine[Any, Any, T]]) -> Future[T]:
    """Run *do* on *host*, in a thread with a loop of its own; its children's sockets are there, too."""
    result: Future[T] = Future()

    def inside() -> None:
        try:
            result.set_result(net.run(host, lambda: anyio.run(do)))
        except BaseException as error:  # noqa: BLE001  # handed to whoever asks for the result
            result.set_exception(error)

    threading.Thread(target=inside, name=host, daemon=True).start()
    return result


def at(member: Membership) -> Any:
    """Open a transport as a node would that is not configured at all."""
    return open_transport(member, listen="", announce=[], timeout_seconds=2)


class Far:
    """A machine where something is exposed, until told to end; *heard* is what its service noticed of a caller."""

    def __init__(self, net: Lan, member: Membership, *, echoes: bool = True) -> None:
        self._member, self._echoes = member, echoes
        self.addresses: Future[tuple[str, ...]] = Future()
        self.cut: Future[float] = Future()
        self._ending: Future[tuple[BlockingPortal, anyio.Event]] = Future()
        self.result = on(net, "two", self._run)

    async def _run(self) -> None:
        async def listen(stream: anyio.abc.SocketStream) -> None:
            await stream.send(b"here")
            if await is_cut(stream):
                self.cut.set_result(time.monotonic())

        ended = anyio.Event()
        async with BlockingPortal() as portal:
            self._ending.set_result((portal, ended))
            async with (
                an_echo() if self._echoes else a_server(listen) as endpoint,
                at(self._member) as transport,
                transport.expose(GATEWAY, endpoint) as addresses,
            ):
                self.addresses.set_result(addresses)
                await ended.wait()

    def end(self) -> None:
        """End it."""
        portal, ended = self._ending.result(10)
        portal.call(ended.set)
        self.result.result(20)


def test_own_addresses_are_announced(net: Lan) -> None:
    """A node that is not configured is found at the address of its network, and never at a wildcard or on loopback."""
    one, two = a_swarm()
    far = Far(net, two)

    async def call() -> bytes:
        async with at(one) as here, here.reach(addresses[0]) as endpoint:
            return await converse(endpoint, b"hello")

    addresses = far.addresses.result(20)
    try:
        assert addresses == (f"tls://{two.id}@{net.hosts['two']}:7479/gateway",)
        assert on(net, "one", call).result(30) == b"hello"
    finally:
        net.mend("two")
        far.end()


async def talking(here: TlsTransport, endpoint: Endpoint, pull: Callable[[], None], *, busy: bool) -> float:
    """Pull the cable while a tunnel stands; return how long it took until it was cut, in seconds."""
    async with await anyio.connect_tcp(endpoint.host, endpoint.port) as stream:
        await stream.send(b"hello")
        assert await stream.receive() == b"hello"
        await until(lambda: here.ways()[0].rtt_seconds is not None)
        began = time.monotonic()
        pull()
        if busy:  # something is on its way that nobody acknowledges
            await stream.send(b"x" * 1000)
        assert await is_cut(stream)
        return time.monotonic() - began


@pytest.mark.parametrize("busy", [False, True])
def test_a_silent_peer_is_noticed(net: Lan, busy: bool) -> None:
    """A cable that is pulled cuts the tunnel within five seconds, idle or not; when it is back, the path heals."""
    one, two = a_swarm()
    far = Far(net, two)
    (address,) = far.addresses.result(20)

    async def call() -> float:
        async with at(one) as here, here.reach(address) as endpoint:
            took = await talking(here, endpoint, lambda: net.cut("two"), busy=busy)
            await until(lambda: bool(here.ways()[0].reason))
            net.mend("two")
            await until(lambda: not here.ways()[0].reason, seconds=20)
            with anyio.fail_after(5):
                assert await converse(endpoint, b"again") == b"again"
            return took

    try:
        assert on(net, "one", call).result(50) <= _NOTICED
    finally:
        net.mend("two")
        far.end()


def test_a_silent_caller_is_noticed(net: Lan) -> None:
    """The service behind the door is told, too, that its caller has vanished, though it only listens."""
    one, two = a_swarm()
    far = Far(net, two, echoes=False)
    (address,) = far.addresses.result(20)
    pulled: list[float] = []

    async def call() -> None:
        async with (
            at(one) as here,
            here.reach(address) as endpoint,
            await anyio.connect_tcp(endpoint.host, endpoint.port) as stream,
        ):
            assert await stream.receive() == b"here"
            pulled.append(time.monotonic())
            net.cut("one")
            await until(far.cut.done, seconds=_NOTICED + 5)

    try:
        on(net, "one", call).result(40)
        assert far.cut.result(0) - pulled[0] <= _NOTICED
    finally:
        net.mend("one")
        far.end()
