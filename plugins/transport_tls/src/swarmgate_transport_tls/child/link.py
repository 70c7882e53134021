"""A path to one service of one peer: a listener on loopback, a control connection, and a tunnel for each connection."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from swarmgate.api import Frame, Unreachable

from swarmgate_transport_tls.child.control import Control
from swarmgate_transport_tls.child.credentials import Credentials
from swarmgate_transport_tls.child.secured import Secured, call
from swarmgate_transport_tls.child.sockets import cut_by_default, listen, reason, reset, tune
from swarmgate_transport_tls.child.tunnel import Scratch, Tunnel
from swarmgate_transport_tls.child.words import SESSION_BYTES, VERSION, Hello
from swarmgate_transport_tls.messages import Done, Measured, Reach

_LOOPBACK = "127.0.0.1"
#: Handshakes of one path that may be under way at once; the peer turns away who stands in its doorway in crowds.
_MOST_CALLS = 32
#: Connections that may wait for their tunnel; more are closed.
_MOST_WAITING = 1024
#: Between attempts to get back to a peer, in seconds: doubling.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0


class Link:
    """What :class:`Reach` asks for, while :meth:`run` runs; *tell* takes what the gateway is to know."""

    def __init__(
        self,
        asked: Reach,
        credentials: Credentials,
        scratch: Scratch,
        *,
        seconds: float,
        tell: Callable[[Frame], None],
    ) -> None:
        self._asked, self._credentials, self._scratch, self._seconds = asked, credentials, scratch, seconds
        self._tell = tell
        self._session = b""
        self._control: Control | None = None
        self._up, self._wanted = asyncio.Event(), asyncio.Event()
        self._calls = asyncio.Semaphore(_MOST_CALLS)
        self._tunnels: set[Tunnel] = set()
        self._waiting: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        state = "up" if self._up.is_set() else "down"
        return f"<Link to {self._asked.peer}, {state}, {len(self._tunnels)} tunnels>"

    async def run(self) -> None:
        """Hold the path until cancelled; one that cannot be opened at first is said so and given up."""
        sockets: list[socket.socket] = []
        accepting: asyncio.Task[None] | None = None
        try:
            if self._asked.local_port:
                sockets = await self._listen_again()
                accepting = asyncio.ensure_future(self._accept(sockets[0]))
            else:
                connection = await self._open()
                sockets = listen(_LOOPBACK, 0)
                accepting = asyncio.ensure_future(self._accept(sockets[0]))
                self._tell(Done(self._asked.id, _LOOPBACK, int(sockets[0].getsockname()[1])))
                await self._hold(connection)
            await self._reopen()
        except Unreachable as error:
            self._tell(Done(self._asked.id, reason=str(error)))
        except OSError as error:
            self._tell(Done(self._asked.id, reason=f"no listener on loopback: {reason(error)}"))
        finally:
            for sock in sockets:
                if accepting is not None:
                    accepting.cancel()
                    await asyncio.gather(accepting, return_exceptions=True)
                sock.close()
            self._cut()

    def end(self, why: str) -> None:
        """Close what is open; it is tried again, in case the reason does not last."""
        if self._control is not None:
            self._control.end(why)
        self._cut()

    @property
    def peer(self) -> str:
        """Return to whom it leads."""
        return self._asked.peer

    async def _listen_again(self) -> list[socket.socket]:
        while True:
            try:
                return listen(_LOOPBACK, self._asked.local_port)
            except OSError as error:
                self._tell(Measured(self._asked.id, reason=f"port {self._asked.local_port}: {reason(error)}"))
                await asyncio.sleep(_LONGEST_PAUSE)

    async def _open(self) -> Secured:
        self._session = os.urandom(SESSION_BYTES)
        return await self._call("control")

    async def _call(self, purpose: Literal["control", "tunnel"]) -> Secured:
        asked = self._asked
        hello = Hello(version=VERSION, purpose=purpose, service=asked.service, session=self._session)
        return await call(self._credentials, asked.host, asked.port, asked.peer, hello, seconds=self._seconds)

    async def _hold(self, connection: Secured) -> None:
        """Hold the path while the control connection stands, and say how it does."""
        certificate = connection.certificate
        control = self._control = Control(
            connection,
            asks=True,
            measured=lambda seconds: self._tell(Measured(self._asked.id, rtt_seconds=seconds)),
            still_good=lambda: self._credentials.examine(certificate),
        )
        self._up.set()
        try:
            why = await control.hold()
            self._tell(Measured(self._asked.id, reason=why))
        finally:
            self._control = None
            self._up.clear()
            self._cut()

    async def _reopen(self) -> None:
        """Get back to the peer whenever the path is lost: soon, and at once when somebody wants it."""
        pause = _FIRST_PAUSE
        while True:
            self._wanted.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wanted.wait()
            try:
                connection = await self._open()
            except Unreachable as error:
                self._tell(Measured(self._asked.id, reason=str(error)))
                pause = min(2 * pause, _LONGEST_PAUSE)
                self._refuse_waiting()
            else:
                pause = _FIRST_PAUSE
                await self._hold(connection)

    # ---- connections on loopback

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listening)
            except OSError:  # too many files are open, or who came has left
                await asyncio.sleep(_FIRST_PAUSE)
                continue
            if len(self._waiting) >= _MOST_WAITING:
                reset(accepted)
                continue
            task = asyncio.ensure_future(self._carry(accepted))
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)

    async def _carry(self, accepted: socket.socket) -> None:
        connection: Secured | None = None
        try:
            tune(accepted)
            cut_by_default(accepted)
            async with self._calls:
                await self._until_up()
                session = self._session
                connection = await self._call("tunnel")
        except BaseException as error:
            reset(accepted)
            if connection is not None:
                reset(connection.sock)
            if not isinstance(error, Unreachable | OSError):
                raise
        else:
            if session != self._session or not self._up.is_set():  # the path was lost meanwhile
                reset(accepted)
                reset(connection.sock)
                return
            tunnel = Tunnel(accepted, connection, self._scratch, self._tunnels.discard)
            self._tunnels.add(tunnel)
            tunnel.begin()

    async def _until_up(self) -> None:
        if self._up.is_set():
            return
        self._wanted.set()
        try:
            async with asyncio.timeout(self._seconds):
                await self._up.wait()
        except TimeoutError:
            raise Unreachable("the path does not stand") from None

    def _refuse_waiting(self) -> None:
        """Let nobody wait for a peer that has just been tried in vain."""
        if not self._up.is_set():
            for task in self._waiting:
                task.cancel()

    def _cut(self) -> None:
        for task in tuple(self._waiting):
            task.cancel()
        for tunnel in tuple(self._tunnels):
            tunnel.cut()
