"""What the world reaches of a lender: it lets llama.cpp's clients through, one at a time, and keeps the lease.

The first byte tells who comes: llama.cpp's HELLO, or a gateway that asks first.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Protocol

import anyio
import structlog
from anyio.abc import SocketStream, TaskGroup
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
from swarmgate_backend_llamacpp.rpc.pipe import carry, dial, prepare

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

    async def serve(self, sockets: Sequence[socket.socket]) -> None:
        """Serve everybody who connects to *sockets*, which listen and are non-blocking, until cancelled."""
        async with anyio.create_task_group() as tasks:
            for listening in sockets:
                tasks.start_soon(self._accept, listening, tasks)

    async def _accept(self, listening: socket.socket, tasks: TaskGroup) -> None:
        while True:
            await anyio.wait_readable(listening)
            try:
                accepted, address = listening.accept()
            except BlockingIOError:
                continue
            except OSError as error:  # too many open files, or one who left while waiting
                self._log.warning("lender.accept_failed", reason=str(error))
                await anyio.sleep(_LEAVING_SECONDS)
                continue
            tasks.start_soon(self._handle, accepted, str(address[0]))

    async def _handle(self, accepted: socket.socket, host: str) -> None:
        self._open += 1
        try:
            with accepted:
                prepare(accepted)
                if self._open <= _MOST:
                    await self._welcome(accepted, host)
        except _LEFT:
            pass  # whoever leaves is not served
        finally:
            self._open -= 1

    async def _welcome(self, accepted: socket.socket, host: str) -> None:
        with anyio.move_on_after(self._silence) as waiting:
            await anyio.wait_readable(accepted)
        if waiting.cancelled_caught:
            return
        first = accepted.recv(1, socket.MSG_PEEK)
        if first == bytes((HELLO,)):
            await self._let_through(accepted, host)
        elif first:
            async with await SocketStream.from_socket(accepted.dup()) as stream:
                try:
                    await self._serve_borrower(stream, host)
                except WireError as error:
                    self._log.warning("lender.stranger", address=host, reason=str(error))

    async def _let_through(self, accepted: socket.socket, host: str) -> None:
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
                with await dial(endpoint.host, endpoint.port) as server:
                    # once the client has ended, its server soon will: the next one may queue there
                    await carry(accepted, server, near_ended=lambda: self._leave(visit))
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

    async def _serve_borrower(self, stream: SocketStream, host: str) -> None:
        reader, lease = borrowers_words(), None
        await stream.send(LENDER)
        try:
            while (data := await self._hear(stream)) is not None:
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
