"""The door as others see it: strangers, and members that break the protocol, over plain sockets."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from typing import TypeVar

import anyio
import anyio.to_thread
import pytest
from structlog.testing import capture_logs
from swarmgate.api import Endpoint, Membership, encode_frame
from swarmgate.testing import a_swarm
from swarmgate.testing.streams import an_echo, converse
from swarmgate_transport_tls.child.credentials import KNOCK_BYTES, Credentials
from swarmgate_transport_tls.child.doorway import MOST_OF_ONE
from swarmgate_transport_tls.child.framing import END, HEAD
from swarmgate_transport_tls.child.words import LARGEST, VERSION, Answer, Hello, Ping, answers, word_size
from tls_pairs import Pair, pair

pytestmark = pytest.mark.anyio

T = TypeVar("T")
#: How long the door waits in these tests, in seconds.
WAITS = 1.0
CONTROL = Hello(version=VERSION, purpose="control", service="gateway", session=b"s" * 16)
TUNNEL = Hello(version=VERSION, purpose="tunnel", service="gateway", session=b"s" * 16)


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio alone: the door is in another process, which does not know on which loop its gateway runs."""
    return "asyncio"


@asynccontextmanager
async def a_door() -> AsyncGenerator[Pair]:
    """Hold a member's door, behind which an echo is, and see afterwards that it still opens."""
    async with an_echo() as echo, pair(echo, seconds=WAITS) as held:
        yield held
        async with held.here.reach(held.address) as endpoint:
            assert await converse(endpoint, b"hello") == b"hello"


async def apart(do: Callable[[], T]) -> T:
    """Return what *do*, which blocks, returns."""
    with anyio.fail_after(30):
        return await anyio.to_thread.run_sync(do)


def heard(sock: socket.socket) -> bytes:
    """Return all that comes until *sock* is closed over there."""
    data = b""
    try:
        while piece := sock.recv(1 << 16):
            data += piece
    except ConnectionResetError:
        pass
    return data


@contextmanager
def dialled(door: Endpoint, first: bytes = b"") -> Generator[socket.socket]:
    with socket.create_connection((door.host, door.port), timeout=10) as sock:
        sock.sendall(first)
        yield sock


def a_context(member: Membership | None = None, *, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    """Return a client's TLS: a member's, or a stranger's who trusts everybody and has no certificate."""
    if member is not None:
        return Credentials(member).client
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = newest
    return context


def said_to(door: Endpoint, first: bytes) -> bytes:
    """Return what the door says to who says *first*, and then has nothing more to say."""
    with dialled(door, first) as sock:
        with suppress(OSError):  # it may have hung up by now
            sock.shutdown(socket.SHUT_WR)
        return heard(sock)


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\0" * 5000,
        b"SSH-2.0-x\n",
    ],
)
async def test_strangers_hear_nothing(first: bytes) -> None:
    """Whatever a stranger says, not one byte comes back."""
    async with a_door() as held:
        assert await apart(lambda: said_to(held.door, first)) == b""


async def test_a_stranger_with_tls_sees_no_certificate() -> None:
    """The door does not even begin a handshake with who does not know the token: no version, no name, no swarm."""

    def shake() -> bytes:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = a_context().wrap_bio(incoming, outgoing)
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        with dialled(held.door, outgoing.read()) as sock:
            return heard(sock)

    async with a_door() as held:
        assert await apart(shake) == b""


async def test_a_knock_of_another_swarm_opens_nothing() -> None:
    """Another token's knock is a stranger's."""
    (stranger,) = a_swarm("owner")
    async with a_door() as held:
        assert await apart(lambda: said_to(held.door, Credentials(stranger).knock(held.other.id) + b"x")) == b""


async def test_an_overheard_knock_opens_nothing() -> None:
    """A knock counts once; who has listened on the wire learns nothing by repeating it."""

    def knock_and_shake() -> tuple[bytes, bytes]:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = a_context().wrap_bio(incoming, outgoing)
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        flight = Credentials(held.one).knock(held.other.id) + outgoing.read()
        with dialled(held.door, flight) as sock:
            first = sock.recv(100)
        return first, said_to(held.door, flight)

    async with a_door() as held:
        first, second = await apart(knock_and_shake)
        assert first
        assert second == b""


async def test_a_knock_at_another_member_opens_nothing() -> None:
    """What was overheard at one door is nothing at any other: it would be new there, and show a certificate."""
    async with a_door() as held:
        overheard = Credentials(held.one).knock(held.one.id) + b"\x16\x03\x01\x02\x00"
        assert await apart(lambda: said_to(held.door, overheard)) == b""


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2])
async def test_older_tls_is_refused(newest: ssl.TLSVersion) -> None:
    """Also who knows the token cannot have the connection in an older version."""

    def shake() -> str:
        context = a_context(newest=newest)
        with dialled(held.door, Credentials(held.one).knock(held.other.id)) as sock:
            with pytest.raises(ssl.SSLError) as caught:
                context.wrap_socket(sock)
            return str(caught.value)

    async with a_door() as held:
        assert "PROTOCOL_VERSION" in await apart(shake)


async def test_without_a_certificate_nothing_is_answered() -> None:
    """The token's knock alone does not do: who shows no certificate gets an alert, and no answer to its hello."""

    def shake() -> str:
        with (
            dialled(held.door, Credentials(held.one).knock(held.other.id)) as sock,
            a_context().wrap_socket(sock) as tls,
        ):
            tls.sendall(encode_frame(CONTROL))
            with pytest.raises(ssl.SSLError) as caught:
                tls.recv(1000)
            return str(caught.value)

    async with a_door() as held:
        assert "CERTIFICATE_REQUIRED" in await apart(shake)


@contextmanager
def inside(held: Pair, first: bytes) -> Generator[ssl.SSLSocket]:
    """Be a member that has shaken hands and then says *first*."""
    with (
        dialled(held.door, Credentials(held.one).knock(held.other.id)) as sock,
        a_context(held.one).wrap_socket(sock) as tls,
    ):
        tls.sendall(first)
        yield tls


def exactly(tls: ssl.SSLSocket, count: int) -> bytes:
    data = b""
    while len(data) < count and (piece := tls.recv(count - len(data))):
        data += piece
    return data


def the_answer(tls: ssl.SSLSocket) -> Answer:
    """Return how the door answers a hello."""
    head = exactly(tls, HEAD)
    (answer,) = answers().feed(head + exactly(tls, word_size(head)))
    return answer


@pytest.mark.parametrize(
    ("first", "fault"),
    [
        (b"\xff" * 4, "a word announces"),
        ((LARGEST + 1).to_bytes(4, "big"), "a word announces"),
        ((3).to_bytes(4, "big") + b"abc", "cannot be read"),
        (encode_frame(Ping(1)), "cannot be read"),
        (encode_frame(TUNNEL), "no such session"),
        (encode_frame(Hello(version=9, purpose="control", service="gateway", session=b"s" * 16)), "speaks version 9"),
        (encode_frame(Hello(version=1, purpose="control", service="x" * 90, session=b"s" * 16)), "breaks the protocol"),
        (encode_frame(Hello(version=1, purpose="control", service="gateway", session=b"")), "breaks the protocol"),
        (encode_frame(Hello(version=1, purpose="control", service="none", session=b"s" * 16)), "not offered here"),
    ],
)
async def test_a_member_hears_what_is_wrong_with_its_hello(first: bytes, fault: str) -> None:
    """A hello that breaks the protocol, or asks for what is not there, is refused with the reason."""

    def ask() -> Answer:
        with inside(held, first) as tls:
            answer = the_answer(tls)
            assert tls.recv(1) == b""
            return answer

    async with a_door() as held:
        answer = await apart(ask)
        assert not answer.accepted
        assert fault in answer.reason


async def test_a_session_is_its_peers_own() -> None:
    """A session's tunnels are let in while its control connection stands, cannot be opened twice, and end with it."""

    def visit() -> None:
        with ExitStack() as stack:
            control = stack.enter_context(inside(held, encode_frame(CONTROL)))
            assert the_answer(control).accepted
            with inside(held, encode_frame(CONTROL)) as again:
                assert "already" in the_answer(again).reason
            tunnel = stack.enter_context(inside(held, encode_frame(TUNNEL)))
            assert the_answer(tunnel).accepted
            tunnel.sendall((5).to_bytes(4, "big") + b"hello")
            assert exactly(tunnel, 9) == (5).to_bytes(4, "big") + b"hello"
            control.close()
            assert heard(tunnel) == b""  # cut: the end has not been said
            with inside(held, encode_frame(TUNNEL)) as late:
                assert "no such session" in the_answer(late).reason

    async with a_door() as held:
        await apart(visit)


@pytest.mark.parametrize("data", [b"\xff" * 8, END + b"x", END + END])
async def test_a_tunnel_that_breaks_the_framing_is_cut(data: bytes) -> None:
    """A piece too long, or something after the end, ends that tunnel and no other."""

    def visit() -> None:
        with inside(held, encode_frame(CONTROL)) as control:
            assert the_answer(control).accepted
            with inside(held, encode_frame(TUNNEL)) as good, inside(held, encode_frame(TUNNEL)) as bad:
                assert the_answer(good).accepted
                assert the_answer(bad).accepted
                bad.sendall(data)
                assert heard(bad) == b""  # cut: the end has not been said
                good.sendall((5).to_bytes(4, "big") + b"hello" + END)
                assert exactly(good, 13) == (5).to_bytes(4, "big") + b"hello" + END

    async with a_door() as held:
        await apart(visit)


@pytest.mark.parametrize("stage", ["before the knock", "in the knock", "before the handshake", "in it", "in the hello"])
async def test_who_dawdles_is_turned_away(stage: str) -> None:
    """Whatever is not said in time, the connection is closed, however many bytes trickle in meanwhile."""

    def trickle() -> float:
        began = time.monotonic()
        knock = Credentials(held.one).knock(held.other.id)
        with ExitStack() as stack:
            if stage == "in the hello":
                sock: socket.socket = stack.enter_context(inside(held, b""))
                drops = (bytes((byte,)) for byte in (200).to_bytes(4, "big") + b"\x81" * 200)
            else:
                sock = stack.enter_context(dialled(held.door))
                drops = {
                    "before the knock": iter(()),
                    "in the knock": (bytes((byte,)) for byte in knock[: KNOCK_BYTES - 1]),
                    "before the handshake": iter((knock,)),
                    "in it": iter((knock, *(bytes((byte,)) for byte in b"\x16\x03\x01\x0f\x00" + bytes(200)))),
                }[stage]
            sock.settimeout(0.1)
            try:
                while time.monotonic() - began < 8 * WAITS:
                    sock.sendall(next(drops, b""))
                    try:
                        if sock.recv(1000) == b"":
                            break
                    except TimeoutError:
                        continue
            except (OSError, ssl.SSLError):
                pass
        return time.monotonic() - began

    async with a_door() as held:
        assert await apart(trickle) < 4 * WAITS


async def test_strangers_cannot_keep_members_out() -> None:
    """While more strangers than have room stand in the doorway and say nothing, a member passes at once."""

    def crowd() -> list[socket.socket]:
        return [socket.create_connection((held.door.host, held.door.port)) for _ in range(3 * MOST_OF_ONE)]

    async with a_door() as held:
        standing = await apart(crowd)
        try:
            with anyio.fail_after(WAITS):
                async with held.here.reach(held.address) as endpoint:
                    assert await converse(endpoint, b"hello") == b"hello"
        finally:
            for sock in standing:
                sock.close()


async def test_turning_away_is_said_once_in_a_while() -> None:
    """The operator learns of strangers, and a flood of them does not fill the log."""

    def many() -> None:
        for _ in range(50):
            said_to(held.door, b"x" * 100)

    with capture_logs() as logs:
        async with a_door() as held:
            await apart(many)
    (said,) = [log for log in logs if log["event"] == "transport.turned_away"]
    assert said["address"] == "127.0.0.1"
    assert "does not belong to this swarm" in said["reason"]
