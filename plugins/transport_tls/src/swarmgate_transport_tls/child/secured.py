"""A TLS connection on a bare socket, from the knock to the hello.

TLS is done in memory (:class:`ssl.MemoryBIO`), so that whoever carries the bytes afterwards decides when to read, and
how much is read and written at once.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import dataclass, field
from typing import TypeVar

from swarmgate.api import Frame, FrameSplitter, NodeId, Peer, Unreachable, WireError, encode_frame

from swarmgate_transport_tls.child.credentials import KNOCK_BYTES, Credentials
from swarmgate_transport_tls.child.sockets import close_softly, dial, reason
from swarmgate_transport_tls.child.words import HEAD, Answer, Hello, answers, word_size

FrameT = TypeVar("FrameT", bound=Frame)
_CHUNK = 1 << 14
_NO_MEMBER = (
    "it closed the connection without a word, as it does with strangers (is the token the same on both sides?), with "
    "who looks for another member there, when it is shutting down, and when it has too many visitors"
)


@dataclass(slots=True, eq=False)
class Secured:
    """A socket, and the TLS that is done over it; *peer* is who the other side has proved to be."""

    sock: socket.socket
    tls: ssl.SSLObject
    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO
    peer: Peer | None = None
    certificate: bytes = b""
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    def __repr__(self) -> str:
        return f"<Secured connection with {self.peer.id if self.peer else 'somebody'}>"

    async def shake_hands(self, *, first: bytes = b"") -> None:
        """Do the handshake; *first* goes out before anything else.

        Raises:
            SSLError: the other side would not, or cannot be trusted; it has been told why.
            OSError: the connection is gone.
            EOFError: the other side closed it.

        """
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush(first)
                first = b""
                await self._fill()
            except ssl.SSLError:
                await self._flush()  # the alert
                raise
            else:
                return await self._flush()

    def identify(self, credentials: Credentials, expected: NodeId | None = None) -> Peer:
        """Return who the other side is, after the handshake; raises as :meth:`Credentials.examine`."""
        self.certificate = self.tls.getpeercert(binary_form=True) or b""
        self.peer = credentials.examine(self.certificate or None, expected=expected)
        return self.peer

    async def say(self, word: Frame) -> None:
        """Send *word*."""
        self.tls.write(encode_frame(word))
        await self._flush()

    async def hear(self, splitter: FrameSplitter[FrameT]) -> FrameT:
        """Return the next word, reading not one byte more.

        Raises:
            WireError: it is no such word, or too long.
            EOFError: the other side has ended.

        """
        head = await self._exactly(HEAD)
        (word,) = splitter.feed(head + await self._exactly(word_size(head)))
        return word

    async def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            try:
                piece = self.tls.read(count - len(data))
            except ssl.SSLWantReadError:
                await self._fill()
                continue
            if not piece:
                raise EOFError
            data += piece
        return data

    async def _fill(self) -> None:
        data = await self._loop.sock_recv(self.sock, _CHUNK)
        if not data:
            raise EOFError
        self.incoming.write(data)

    async def _flush(self, first: bytes = b"") -> None:
        if data := first + self.outgoing.read():
            await self._loop.sock_sendall(self.sock, data)


def secured(sock: socket.socket, credentials: Credentials, *, server: bool) -> Secured:
    """Return *sock* with TLS over it, before the handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = credentials.server if server else credentials.client
    return Secured(sock, context.wrap_bio(incoming, outgoing, server_side=server), incoming, outgoing)


async def hear_knock(sock: socket.socket, credentials: Credentials) -> bytes:
    """Return the knock of whoever has connected; empty if it is none.  Whoever has gone or ended raises EOFError."""
    loop, data = asyncio.get_running_loop(), b""
    while len(data) < KNOCK_BYTES:
        piece = await loop.sock_recv(sock, KNOCK_BYTES - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data if credentials.is_knock(data) else b""


async def call(
    credentials: Credentials, host: str, port: int, peer: NodeId, hello: Hello, *, seconds: float
) -> Secured:
    """Return a connection to *peer*, which has accepted *hello*.

    Raises:
        Unreachable: it could not be had within *seconds*; the message says why, and not whom.

    """
    connection: Secured | None = None
    try:
        async with asyncio.timeout(seconds):
            connection = secured(await dial(host, port), credentials, server=False)
            await _agree(connection, credentials, peer, hello)
            return connection
    except BaseException as error:
        if connection is not None:
            connection.sock.close()
        if isinstance(error, TimeoutError) and not error.errno:
            raise Unreachable(f"no answer within {seconds:g} s") from None
        if isinstance(error, Unreachable | OSError | UnicodeError):
            raise Unreachable(str(error) if isinstance(error, Unreachable) else reason(error)) from None
        raise


async def _agree(connection: Secured, credentials: Credentials, peer: NodeId, hello: Hello) -> None:
    trusted = False
    try:
        await connection.shake_hands(first=credentials.knock(peer))
        trusted = True
        connection.identify(credentials, peer)
        await connection.say(hello)
        answer: Answer = await connection.hear(answers())
    except ssl.SSLCertVerificationError as error:
        raise Unreachable(f"its certificate is not good: {error.verify_message}") from None
    except ssl.SSLError as error:
        why = (error.reason or str(error)).lower().replace("_", " ")
        raise Unreachable(f"it refuses our certificate: {why}" if trusted else f"no TLS with it: {why}") from None
    except (EOFError, ConnectionResetError, BrokenPipeError):
        raise Unreachable("it closed the connection" if trusted else _NO_MEMBER) from None
    except WireError as error:
        raise Unreachable(str(error)) from None
    if not answer.accepted:
        raise Unreachable(f"it refuses: {answer.reason}")


async def refuse(connection: Secured, why: str) -> None:
    """Answer a hello with *why* it is not accepted, and close."""
    try:
        await connection.say(Answer(accepted=False, reason=why))
    finally:
        await close_softly(connection.sock)
