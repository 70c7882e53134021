"""What the world reaches of a lender: it lets llama.cpp's clients through, one at a time, and keeps the lease.

The first byte tells who comes: llama.cpp's HELLO, or a gateway that asks first.
"""

from __future__ import annotations

from typing import Protocol

import anyio
import structlog
from anyio.abc import SocketAttribute, SocketStream
from swarmgate.api import Endpoint, Frame, WireError, encode_frame

from swarmgate_backend_llamacpp.rpc.desk import Desk, Lease, Visit
from swarmgate_backend_llamacpp.rpc.hello import HELLO
from swarmgate_backend_llamacpp.rpc.lease import (
    LENDER,
    SILENCE_SECONDS,
    Ask,
    Facts,
    Granted,
    Ping,
    Pong,
    Refused,
    borrowers_words,
    short,
)
from swarmgate_backend_llamacpp.rpc.pipe import carry, keep_alive

_CHUNK = 1 << 16
#: Connections that may be open at once; more are closed: each costs a descriptor.
_MOST = 256
#: How long the end of a connection may be on its way: llama.cpp opens one after the other while it loads.
_LEAVING_SECONDS = 0.2
_LEFT = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, OSError)


class Lending(Protocol):
    """What is behind the listener."""

    @property
    def endpoint(self) -> Endpoint | None:
        """Return where the RPC server listens, None while there is none."""
        ...

    async def facts(self, leased_by: str) -> Facts:
        """Return what is lent, as of now."""
        ...


class Listener:
    """Serves everybody who connects, by the rules of its :class:`Desk`."""

    def __init__(self, lending: Lending, *, silence_seconds: float = SILENCE_SECONDS) -> None:
        self.desk = Desk()
        self._lending = lending
        self._silence = silence_seconds
        self._visits: dict[Visit, anyio.CancelScope] = {}
        self._left = anyio.Event()
        self._open = 0
        self._log = structlog.get_logger("swarmgate.llamacpp")

    def __repr__(self) -> str:
        return f"<Listener {self._open} connections, lent to {self.desk.holder or 'nobody'}>"

    async def handle(self, stream: SocketStream) -> None:
        """Serve one connection to its end."""
        self._open += 1
        try:
            async with stream:
                if self._open <= _MOST:
                    await self._welcome(stream)
        except _LEFT:
            pass  # whoever leaves is not served
        finally:
            self._open -= 1

    async def _welcome(self, stream: SocketStream) -> None:
        host = str(stream.extra(SocketAttribute.remote_address)[0])  # noqa: S610  # anyio's, not Django's
        first = await self._hear(stream)
        if first is None:
            return
        if first[0] == HELLO:
            await self._let_through(stream, first, host)
            return
        try:
            await self._serve_borrower(stream, first, host)
        except WireError as error:
            self._log.warning("lender.stranger", address=host, reason=str(error))

    async def _let_through(self, stream: SocketStream, first: bytes, host: str) -> None:
        endpoint, visit = self._lending.endpoint, await self._admit(host)
        if visit is None:
            self._log.warning("lender.client_refused", address=host, reason=f"lent to {self.desk.holder}")
            return
        try:
            if endpoint is None:
                self._log.warning("lender.client_refused", address=host, reason="the RPC server is not ready")
                return
            self._log.debug("lender.client_came", address=host)
            with anyio.CancelScope() as scope:
                self._visits[visit] = scope
                keep_alive(stream)
                async with await anyio.connect_tcp(endpoint.host, endpoint.port) as server:
                    await server.send(first)
                    # once the client has ended, its server soon will: the next one may queue there
                    await carry(stream, server, near_ended=lambda: self._leave(visit))
        finally:
            self._visits.pop(visit, None)
            self._leave(visit)
        self._log.debug("lender.client_left", address=host)

    async def _admit(self, host: str) -> Visit | None:
        """Let a client in; one that comes as another is leaving waits a moment, for it may be the same."""
        visit = self.desk.admit(host)
        if visit is None:
            with anyio.move_on_after(_LEAVING_SECONDS):
                await self._left.wait()
            visit = self.desk.admit(host)
        return visit

    def _leave(self, visit: Visit) -> None:
        self.desk.leave(visit)
        self._left.set()
        self._left = anyio.Event()

    async def _serve_borrower(self, stream: SocketStream, first: bytes, host: str) -> None:
        reader, lease = borrowers_words(), None
        await stream.send(LENDER)
        data: bytes | None = first
        try:
            while data is not None:
                for frame in reader.feed(data):
                    match frame:
                        case Ping():
                            await _say(stream, Pong())
                        case Ask(kind="probe"):
                            await _say(stream, await self._lending.facts(self.desk.holder))
                        case Ask():
                            facts = await self._lending.facts(self.desk.holder)
                            if not facts.waiting:
                                lease = lease or self.desk.grant(short(frame.holder), host)
                            await _say(stream, self._decide(frame, host, facts, lease))
                data = await self._hear(stream)
        finally:
            if lease is not None:
                self._end(lease)

    async def _hear(self, stream: SocketStream) -> bytes | None:
        """Return what is said next, or None after too long a silence."""
        with anyio.move_on_after(self._silence):
            return await stream.receive(_CHUNK)
        return None

    def _decide(self, ask: Ask, host: str, facts: Facts, lease: Lease | None) -> Granted | Refused:
        """Return what the asker is told, who holds *lease* if it was granted."""
        log = self._log.bind(node=short(ask.holder), address=host)
        if lease is not None and not facts.waiting:
            log.info("lender.lease_granted", release=short(ask.version))
            return Granted(facts)
        refusal = Refused(waiting=facts.waiting) if facts.waiting else Refused(self.desk.holder)
        log.info("lender.lease_refused", reason=facts.waiting or f"lent to {self.desk.holder}")
        return refusal

    def _end(self, lease: Lease) -> None:
        visit = self.desk.end(lease)
        self._log.info("lender.lease_ended", node=lease.holder, address=lease.host)
        if visit is not None and (scope := self._visits.get(visit)):
            scope.cancel()


async def _say(stream: SocketStream, frame: Frame) -> None:
    await stream.send(encode_frame(frame))
