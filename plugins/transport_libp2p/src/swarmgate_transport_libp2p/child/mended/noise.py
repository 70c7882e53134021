"""Noise for a connection, read by the bufferful: the handshake is py-libp2p's, what follows it is ours.

py-libp2p reads each message's two bytes of length and its body by calls of their own, through six layers of awaits.
Here one read of the socket brings as many messages as are there.  The format is libp2p's (specs, ``noise/README.md``):
two bytes of length, big endian, then up to 65535 bytes, of which the last 16 are the tag.
"""

from __future__ import annotations

from collections import deque
from typing import cast

from libp2p.abc import IRawConnection, ISecureConn
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.peer.id import ID
from libp2p.security.noise.io import NoiseTransportReadWriter
from libp2p.security.noise.transport import Transport
from libp2p.security.secure_session import SecureSession

from swarmgate_transport_libp2p.child.mended.session import BATCH

_LENGTH = 2


class NoiseSession(SecureSession):
    """A secured connection: as py-libp2p's, but a read of no stated size returns a whole message at once."""

    def __init__(self, secured: SecureSession, raw: IRawConnection) -> None:
        super().__init__(
            local_peer=secured.get_local_peer(),
            local_private_key=secured.get_local_private_key(),
            remote_peer=secured.get_remote_peer(),
            remote_permanent_pubkey=secured.get_remote_public_key(),
            is_initiator=secured.is_initiator,
            conn=secured.conn,
        )
        self._raw = raw
        self._noise = cast("NoiseTransportReadWriter", secured.conn).noise_state
        self._begun = b""
        self._messages: deque[bytes] = deque()

    async def read(self, n: int | None = None) -> bytes:
        """Return the next message, or exactly *n* bytes.

        Raises:
            ConnectionClosedError: the connection ended, or is broken.

        """
        if n == 0:
            return b""
        while not self._messages:
            await self._fetch()
        message = self._messages.popleft()
        if n is None or len(message) == n:
            return message
        parts, size = [message], len(message)
        while size < n:
            while not self._messages:
                await self._fetch()
            parts.append(self._messages.popleft())
            size += len(parts[-1])
        whole = b"".join(parts)
        if size > n:
            self._messages.appendleft(whole[n:])
        return whole[:n]

    async def write(self, data: bytes) -> None:
        """Send *data*; a cancelled write ends the connection, so that one task alone may write."""
        sealed: list[bytes] = []
        for at in range(0, len(data), BATCH) or (0,):
            message = self._noise.encrypt(data if len(data) <= BATCH else data[at : at + BATCH])
            sealed += (len(message).to_bytes(_LENGTH, "big"), message)
        await self._raw.write(b"".join(sealed))

    async def _fetch(self) -> None:
        data = await self._raw.read(None)
        if not data:
            raise ConnectionClosedError("the other side closed the connection")
        if self._begun:
            data = self._begun + data
        view, at, size = memoryview(data), 0, len(data)
        while size - at >= _LENGTH:
            end = at + _LENGTH + int.from_bytes(view[at : at + _LENGTH], "big")
            if end > size:
                break
            if message := self._noise.decrypt(bytes(view[at + _LENGTH : end])):
                self._messages.append(message)
            at = end
        self._begun = bytes(view[at:])


class Noise(Transport):
    """py-libp2p's Noise, whose connections are :class:`NoiseSession`."""

    async def secure_inbound(self, conn: IRawConnection) -> ISecureConn:
        """Let the other side prove who it is; *conn* came from it."""
        return NoiseSession(cast("SecureSession", await super().secure_inbound(conn)), conn)

    async def secure_outbound(self, conn: IRawConnection, peer_id: ID) -> ISecureConn:
        """Let the other side prove that it is *peer_id*; *conn* went to it."""
        return NoiseSession(cast("SecureSession", await super().secure_outbound(conn, peer_id)), conn)
