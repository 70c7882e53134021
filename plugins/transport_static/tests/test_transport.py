from __future__ import annotations

import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import SocketAttribute
from structlog.testing import capture_logs
from swarmgate.api import LLAMA_RPC, Endpoint, Transport, Unreachable
from swarmgate.testing import PluginContract, TransportContract
from swarmgate_transport_static.transport import TcpTransport, own_address, round_trip


class TestPlugin(PluginContract):
    plugin = "static"


class TestContract(TransportContract):
    # the endpoint is the far side's own, and so is the address
    tunnels = False
    unexposes = False

    @asynccontextmanager
    async def make(self) -> AsyncGenerator[Transport]:
        yield TcpTransport()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def listening() -> AsyncGenerator[int]:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        yield int(listener.extra(SocketAttribute.local_port))  # noqa: S610 -- anyio's, not Django's


@pytest.mark.anyio
async def test_the_address_is_the_endpoint() -> None:
    """A name is reached at the IP address that answered, at the same port."""
    async with listening() as port, TcpTransport().reach(f"tcp://localhost:{port}") as endpoint:
        assert endpoint == Endpoint("127.0.0.1", port)


@pytest.mark.anyio
async def test_a_closed_port_is_unreachable() -> None:
    """The error names the address and what the system said."""
    port = free_port()
    with pytest.raises(Unreachable, match=rf"nothing answers at tcp://127\.0\.0\.1:{port}: .*refused"):
        async with TcpTransport().reach(f"tcp://127.0.0.1:{port}"):
            pass


@pytest.mark.anyio
async def test_a_name_nobody_knows_is_unreachable() -> None:
    """Names are looked up, and failing to is the path's fault."""
    with pytest.raises(Unreachable, match=r"nothing answers at tcp://no-such-host\.invalid:1"):
        async with TcpTransport().reach("tcp://no-such-host.invalid:1"):
            pass


@pytest.mark.anyio
async def test_silence_ends_at_the_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that swallows packets counts as unreachable after timeout_seconds."""

    async def never(*_: object, **__: object) -> None:
        await anyio.sleep_forever()

    monkeypatch.setattr(anyio, "connect_tcp", never)
    with anyio.fail_after(5), pytest.raises(Unreachable, match=r"did not answer within 0\.05 s"):
        async with TcpTransport(timeout_seconds=0.05).reach("tcp://127.0.0.1:9"):
            pass


@pytest.mark.anyio
async def test_an_error_inside_is_the_users_own() -> None:
    """What fails while a path is held is not taken for an unreachable address."""
    async with listening() as port:
        with pytest.raises(TimeoutError):
            async with TcpTransport().reach(f"tcp://127.0.0.1:{port}"):
                raise TimeoutError


@pytest.mark.anyio
async def test_the_kernel_tells_the_round_trip() -> None:
    """It is a fraction of a second on this machine; of a socket that is not connected nothing is known."""
    async with listening() as port, await anyio.connect_tcp("127.0.0.1", port) as stream:
        rtt = round_trip(stream.extra(SocketAttribute.raw_socket))  # noqa: S610 -- anyio's, not Django's
    assert rtt is not None
    assert 0 < rtt < 1
    with socket.socket(socket.AF_UNIX) as other:
        assert round_trip(other) is None


@pytest.mark.parametrize(
    ("announce", "endpoint", "address"),
    [
        ("", Endpoint("127.0.0.1", 5), "tcp://127.0.0.1:5"),
        ("", Endpoint("::1", 5), "tcp://[::1]:5"),
        ("worker.lan", Endpoint("0.0.0.0", 5), "tcp://worker.lan:5"),  # noqa: S104 -- not bound
        ("worker.lan:6", Endpoint("127.0.0.1", 5), "tcp://worker.lan:6"),
        ("10.0.0.5", Endpoint("::", 5), "tcp://10.0.0.5:5"),
        ("fd00::5", Endpoint("::", 5), "tcp://[fd00::5]:5"),
        ("[fd00::5]", Endpoint("::", 5), "tcp://[fd00::5]:5"),
        ("[fd00::5]:6", Endpoint("::", 5), "tcp://[fd00::5]:6"),
    ],
)
@pytest.mark.anyio
async def test_exposes_what_others_dial(announce: str, endpoint: Endpoint, address: str) -> None:
    """Announced hosts win; else a service is reached where it listens."""
    async with TcpTransport(announce=announce).expose(LLAMA_RPC, endpoint) as exposed:
        assert exposed == (address,)


@pytest.mark.anyio
async def test_never_announces_a_wildcard(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service on every interface is announced at this machine's address, or not at all."""
    everywhere = Endpoint("0.0.0.0", 5)  # noqa: S104 -- not bound

    def routed(family: socket.AddressFamily) -> str:
        return "10.1.2.3"

    def stranded(family: socket.AddressFamily) -> None:
        return None

    monkeypatch.setattr("swarmgate_transport_static.transport.own_address", routed)
    with capture_logs() as logs:
        async with TcpTransport().expose(LLAMA_RPC, everywhere) as addresses:
            assert addresses == ("tcp://10.1.2.3:5",)
    assert [log["event"] for log in logs] == ["transport.unprotected"]
    monkeypatch.setattr("swarmgate_transport_static.transport.own_address", stranded)
    with pytest.raises(Unreachable, match="set announce to the host they should dial"):
        async with TcpTransport().expose(LLAMA_RPC, everywhere):
            pass


def test_own_address_is_dialable() -> None:
    """The route's own address is told, or None where there is no route; never a wildcard."""
    assert own_address(socket.AF_INET) not in {"", "0.0.0.0"}  # noqa: S104 -- not bound


@pytest.mark.anyio
async def test_loopback_is_exposed_without_a_warning() -> None:
    """What only this machine can dial needs no warning."""
    with capture_logs() as logs:
        async with TcpTransport().expose(LLAMA_RPC, Endpoint("127.0.0.1", 5)):
            pass
    assert logs == []


@pytest.mark.anyio
async def test_a_malformed_announcement_is_named() -> None:
    """The option is blamed, and the entry shown."""
    with pytest.raises(Unreachable, match="announce: 'a b:5'"):
        async with TcpTransport(announce="a b").expose(LLAMA_RPC, Endpoint("127.0.0.1", 5)):
            pass
