"""Carries one connection's bytes between loopback and TLS, both ways, each to its end.

On bare sockets, with buffers that all tunnels share: what cannot be sent at once is kept, and its source is not read
until it has gone, so that a tunnel holds at most one buffer's worth each way.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable

from swarmgate.api import WireError

from swarmgate_transport_tls.child.framing import END, HEAD, Unframer, put_head
from swarmgate_transport_tls.child.secured import Secured
from swarmgate_transport_tls.child.sockets import cut_by_default, end, reset

#: Most bytes read at once: sixteen TLS records, the head of their piece included.
CHUNK = 1 << 18
#: A part of a record may be waiting already.
_OPENED = CHUNK + (1 << 15)


class Scratch:
    """Buffers for one event loop: nothing stays in them from one callback to the next."""

    def __init__(self) -> None:
        self.plain = memoryview(bytearray(CHUNK))
        self.body = self.plain[HEAD:]
        self.sealed = memoryview(bytearray(CHUNK))
        self.opened = memoryview(bytearray(_OPENED))


class Tunnel:
    """One connection: *plain* is the socket on loopback, *connection* what came of the hello.

    *ended* is called once, when both directions have ended or the connection was cut; both sockets are closed then.
    """

    def __init__(
        self, plain: socket.socket, connection: Secured, scratch: Scratch, ended: Callable[[Tunnel], None]
    ) -> None:
        self._plain, self._sock, self._tls = plain, connection.sock, connection.tls
        self._incoming, self._outgoing = connection.incoming, connection.outgoing
        self._scratch, self._ended = scratch, ended
        self._loop = asyncio.get_running_loop()
        self._unframer = Unframer()
        #: What is on its way out to TLS, and in to loopback, and could not be sent yet.
        self._leaving = memoryview(b"")
        self._arriving = memoryview(b"")
        self._said_all = self._heard_all = self._closed = False

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{len(self._leaving)} bytes leaving, {len(self._arriving)} arriving"
        return f"<Tunnel {state}>"

    def begin(self) -> None:
        """Carry from now on; what came with the handshake comes first."""
        cut_by_default(self._plain)
        self._loop.add_reader(self._plain, self._read_plain)
        self._loop.add_reader(self._sock, self._read_sealed)
        self._guarded(self._open)

    def cut(self) -> None:
        """Close both sides so that they know that they were cut."""
        if not self._closed:
            self._forget()
            reset(self._plain)
            reset(self._sock)
            self._ended(self)

    def _guarded(self, do: Callable[[], None]) -> None:
        try:
            do()
        except (BlockingIOError, InterruptedError):
            pass
        except (OSError, WireError):  # SSLError is an OSError
            self.cut()

    # ---- from loopback to TLS

    def _read_plain(self) -> None:
        self._guarded(self._seal)

    def _seal(self) -> None:
        scratch = self._scratch
        count = self._plain.recv_into(scratch.body)
        if count:
            put_head(scratch.plain, count)
            data, at, until, write = scratch.plain, 0, HEAD + count, self._tls.write
            while at < until:  # one record at a time
                at += write(data[at:until])
        else:
            self._tls.write(END)
            self._said_all = True
            self._loop.remove_reader(self._plain)
        self._send_sealed()

    def _send_sealed(self) -> None:
        waiting = bool(self._leaving)
        while self._leaving or self._outgoing.pending:
            data = self._leaving or memoryview(self._outgoing.read())
            sent = _send(self._sock, data)
            self._leaving = data[sent:]
            if self._leaving:
                break
        if self._leaving and not waiting:
            self._loop.remove_reader(self._plain)
            self._loop.add_writer(self._sock, self._write_sealed)
        elif waiting and not self._leaving:
            self._loop.remove_writer(self._sock)
            if not self._said_all:
                self._loop.add_reader(self._plain, self._read_plain)
        self._finish()

    def _write_sealed(self) -> None:
        self._guarded(self._send_sealed)

    # ---- from TLS to loopback

    def _read_sealed(self) -> None:
        self._guarded(self._receive)

    def _receive(self) -> None:
        count = self._sock.recv_into(self._scratch.sealed)
        if not count:
            raise WireError("the connection ended before its directions did")
        self._incoming.write(self._scratch.sealed[:count])
        self._open()

    def _open(self) -> None:
        buffer, at, read = self._scratch.opened, 0, self._tls.read
        try:
            while True:  # one record at a time; the buffer holds all that can be waiting
                count = int(read(_OPENED - at, buffer[at:]))  # with a buffer it is a number, whatever the stubs say
                if not count:
                    raise WireError("TLS ended before the directions did")
                at += count
        except ssl.SSLWantReadError:
            pass
        pieces = self._unframer.feed(buffer[:at])
        self._heard_all = self._unframer.ended
        self._deliver(pieces)
        if self._outgoing.pending and not self._leaving:
            self._send_sealed()  # TLS itself has something to say: a change of keys

    def _deliver(self, pieces: list[memoryview]) -> None:
        total = sum(map(len, pieces))
        sent = 0
        if pieces:
            try:
                sent = self._plain.sendmsg(pieces)
            except (BlockingIOError, InterruptedError):
                sent = 0
        if sent < total:
            self._arriving = memoryview(b"".join(pieces))[sent:]  # a copy: the buffer is not ours to keep
            self._loop.remove_reader(self._sock)
            self._loop.add_writer(self._plain, self._write_plain)
        elif self._heard_all:
            self._end_plain()

    def _write_plain(self) -> None:
        self._guarded(self._send_plain)

    def _send_plain(self) -> None:
        self._arriving = self._arriving[_send(self._plain, self._arriving) :]
        if self._arriving:
            return
        self._loop.remove_writer(self._plain)
        self._loop.add_reader(self._sock, self._read_sealed)
        if self._heard_all:
            self._end_plain()

    def _end_plain(self) -> None:
        self._plain.shutdown(socket.SHUT_WR)
        self._finish()

    # ---- the end

    def _finish(self) -> None:
        if self._said_all and self._heard_all and not self._leaving and not self._arriving and not self._closed:
            self._forget()
            end(self._plain)
            self._sock.close()
            self._ended(self)

    def _forget(self) -> None:
        self._closed = True
        self._leaving = self._arriving = memoryview(b"")
        for sock in (self._plain, self._sock):
            self._loop.remove_reader(sock)
            self._loop.remove_writer(sock)


def _send(sock: socket.socket, data: memoryview) -> int:
    try:
        return sock.send(data)
    except (BlockingIOError, InterruptedError):
        return 0
