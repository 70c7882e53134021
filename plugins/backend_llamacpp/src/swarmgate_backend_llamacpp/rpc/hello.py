"""The first words of llama.cpp's RPC protocol, enough to learn what a server lends.  No I/O here.

A request is a command byte, the length of its body (eight bytes, little endian) and the body; a
reply is a length and a body.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from swarmgate.api import WireError

#: llama.cpp's HELLO, always the first byte of a connection.
HELLO = 14
_DEVICE_COUNT = 15
_GET_DEVICE_MEMORY = 11
#: Eight bytes of every message say how long the rest is.
_LENGTH = struct.Struct("<Q")
_CAPABILITIES = 24  # zeros: plain TCP
_VERSION_SIZES = (3, 4, 28)  # of HELLO's reply: protocols before 4, and since
_COUNT = struct.Struct("<I")
_MEMORY = struct.Struct("<QQ")
#: No machine has more; a server that says so is none.
_MOST_DEVICES = 256
#: How much of what was found instead is quoted.
_QUOTED = 24


class RpcVersion(NamedTuple):
    """A version of llama.cpp's RPC protocol."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    def understands(self, server: RpcVersion) -> bool:
        """Return whether a llama.cpp client of this version takes *server*; it is this strict itself."""
        return server.major == self.major and server.minor <= self.minor


#: What the llama.cpp that this package is pinned to speaks.
OURS = RpcVersion(7, 0, 0)


class Memory(NamedTuple):
    """A device's memory in bytes."""

    free: int
    total: int


class Interview:
    """Asks a llama.cpp RPC server for its version and its devices' memory.

    Send what :meth:`begin` returns, feed it what comes back, send what that returns, until
    :attr:`done`.  A server of another major version is not asked further.
    """

    def __init__(self) -> None:
        self.version: RpcVersion | None = None
        self.memory: list[Memory] = []
        self.done = False
        self._devices = 0
        self._buffer = bytearray()

    def __repr__(self) -> str:
        return f"<Interview {self.version or 'not begun'}, {len(self.memory)} of {self._devices} devices>"

    def begin(self) -> bytes:
        """Return the first request."""
        return _request(HELLO, bytes(_CAPABILITIES))

    def feed(self, data: bytes) -> bytes:
        """Take *data* in and return what to send next; nothing while a reply is incomplete.

        Raises:
            WireError: that is no llama.cpp RPC server; the message quotes it.

        """
        self._buffer += data
        sizes = self._expected()
        if self.done or len(self._buffer) < _LENGTH.size:
            return b""
        (size,) = _LENGTH.unpack_from(self._buffer)
        if size not in sizes:
            raise WireError(f"expected a reply of llama.cpp's RPC protocol, found {quote(self._buffer)}")
        if len(self._buffer) < _LENGTH.size + size:
            return b""
        body = bytes(self._buffer[_LENGTH.size : _LENGTH.size + size])
        del self._buffer[: _LENGTH.size + size]
        if self._buffer:  # it only ever answers
            raise WireError(f"expected one reply of llama.cpp's RPC protocol, found more: {quote(self._buffer)}")
        return self._take(body)

    def _expected(self) -> tuple[int, ...]:
        if self.version is None:
            return _VERSION_SIZES
        return (_MEMORY.size,) if self._devices else (_COUNT.size,)

    def _take(self, body: bytes) -> bytes:
        if self.version is None:
            self.version = RpcVersion(*body[:3])
            self.done = self.version.major != OURS.major
            return b"" if self.done else _request(_DEVICE_COUNT)
        if not self._devices:
            (self._devices,) = _COUNT.unpack(body)
            if not 0 < self._devices <= _MOST_DEVICES:
                raise WireError(f"expected 1 to {_MOST_DEVICES} devices, found {self._devices}")
        else:
            self.memory.append(Memory(*_MEMORY.unpack(body)))
        if len(self.memory) < self._devices:
            return _request(_GET_DEVICE_MEMORY, _COUNT.pack(len(self.memory)))
        self.done = True
        return b""


def quote(data: bytes | bytearray) -> str:
    """Return the beginning of *data* for a message."""
    return repr(bytes(data[:_QUOTED])) + ("..." if len(data) > _QUOTED else "")


def _request(command: int, body: bytes = b"") -> bytes:
    return bytes((command,)) + _LENGTH.pack(len(body)) + body
