"""Where other members come in: strangers are turned away without a word, members led to what is exposed."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from swarmgate.api import Endpoint, Frame, NodeId, Peer, WireError

from swarmgate_transport_tls.child.control import Control
from swarmgate_transport_tls.child.credentials import Credentials
from swarmgate_transport_tls.child.doorway import Doorway, Knocks
from swarmgate_transport_tls.child.secured import Secured, hear_knock, refuse, secured
from swarmgate_transport_tls.child.sockets import close_softly, dial, reason, reset, tune
from swarmgate_transport_tls.child.tunnel import Scratch, Tunnel
from swarmgate_transport_tls.child.words import Answer, Hello, hellos, objection, short
from swarmgate_transport_tls.messages import TurnedAway

#: Connections of members between the knock and the answer that may be under way, and tunnels of one session.
_MOST_HANDSHAKES, _MOST_TUNNELS = 512, 4096
_BREATH_SECONDS = 0.2
#: It is said once in so many seconds that strangers are turned away.
_QUIET_SECONDS = 10.0

#: The task that receives one connection.
Visit = asyncio.Task[Any]


class Session:
    """What one peer has open to one service: a control connection, and the tunnels that end with it."""

    def __init__(self, peer: Peer, service: str, control: Control) -> None:
        self.peer, self.service, self.control = peer, service, control
        self.tunnels: set[Tunnel] = set()
        self.ended = False

    def __repr__(self) -> str:
        return f"<Session of {self.peer.id} for {self.service}, {len(self.tunnels)} tunnels>"

    def cut(self) -> None:
        """End it, and cut its tunnels."""
        self.ended = True
        for tunnel in tuple(self.tunnels):
            tunnel.cut()


class Listener:
    """Serves whoever connects; :attr:`exposed` says what there is, and *tell* takes what the gateway is to know."""

    def __init__(
        self, credentials: Credentials, scratch: Scratch, *, seconds: float, tell: Callable[[Frame], None]
    ) -> None:
        self.exposed: dict[str, Endpoint] = {}
        self._credentials, self._scratch, self._seconds, self._tell = credentials, scratch, seconds, tell
        self._doorway: Doorway[Visit] = Doorway()
        self._knocks = Knocks()
        self._visits: set[Visit] = set()
        self._handshakes = 0
        self._sessions: dict[tuple[NodeId, bytes], Session] = {}
        self._turned_away, self._told_at = 0, -_QUIET_SECONDS

    def __repr__(self) -> str:
        return f"<Listener for {sorted(self.exposed)}, {len(self._sessions)} sessions>"

    async def serve(self, listening: socket.socket) -> None:
        """Serve everybody who connects to *listening* until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, address = await loop.sock_accept(listening)
            except OSError:  # too many files are open, or who came has left
                await asyncio.sleep(_BREATH_SECONDS)
                continue
            host = str(address[0])
            visit = asyncio.ensure_future(self._receive(accepted, host))
            self._visits.add(visit)
            visit.add_done_callback(self._left)
            if (leaving := self._doorway.enter(visit, host)) is not None:
                leaving.cancel()

    def conceal(self, service: str) -> None:
        """Expose *service* no longer, and end what leads to it."""
        self.exposed.pop(service, None)
        self._end(lambda session: session.service == service, f"{service} is offered no longer")

    def revoke(self, peer: NodeId) -> None:
        """End what *peer* has open."""
        self._end(lambda session: session.peer.id == peer, f"{peer} is revoked")

    def _end(self, which: Callable[[Session], bool], why: str) -> None:
        for session in filter(which, tuple(self._sessions.values())):
            session.control.end(why)
            session.cut()

    def _left(self, visit: Visit) -> None:
        self._visits.discard(visit)
        self._doorway.leave(visit)
        if not visit.cancelled() and (error := visit.exception()) is not None:
            asyncio.get_running_loop().call_exception_handler({"message": "a visit failed", "exception": error})

    # ---- from the door to the service

    async def _receive(self, accepted: socket.socket, host: str) -> None:
        """Receive one connection: nothing is said to it before it has shown that it belongs to the swarm."""
        visit = asyncio.current_task()
        try:
            async with asyncio.timeout(self._seconds) as limit:
                tune(accepted)
                if not await self._is_member(accepted):
                    self._turn_away(host, "it does not belong to this swarm, or looks for another member")
                    accepted.close()
                    return
                if visit is not None:
                    self._doorway.leave(visit)
                connection = secured(accepted, self._credentials, server=True)
                hello = await self._identify(connection, host)
                if hello is not None:
                    await self._lead(connection, hello, host, limit)
        except TimeoutError:
            self._turn_away(host, "it said nothing in time")
            accepted.close()
        except (EOFError, OSError):
            accepted.close()
        except BaseException:
            accepted.close()
            raise

    async def _is_member(self, accepted: socket.socket) -> bool:
        knock = await hear_knock(accepted, self._credentials)
        return bool(knock) and self._knocks.is_new(knock) and self._handshakes < _MOST_HANDSHAKES

    async def _identify(self, connection: Secured, host: str) -> Hello | None:
        """Return what a member wants; who is not to be let in is told so, as far as it may know."""
        self._handshakes += 1
        try:
            await connection.shake_hands()
            peer = connection.identify(self._credentials)
            hello = await connection.hear(hellos())
        except ssl.SSLError as error:
            self._turn_away(host, (error.reason or str(error)).lower().replace("_", " "))
            await close_softly(connection.sock)
            return None
        except WireError as error:
            self._turn_away(host, str(error))
            await refuse(connection, short(str(error)))
            return None
        finally:
            self._handshakes -= 1
        if fault := objection(hello, peer) or self._unknown(hello):
            self._turn_away(host, fault)
            await refuse(connection, short(fault))
            return None
        return hello

    def _unknown(self, hello: Hello) -> str:
        return "" if hello.service in self.exposed else f"{hello.service} is not offered here"

    async def _lead(self, connection: Secured, hello: Hello, host: str, limit: asyncio.Timeout) -> None:
        peer = connection.peer
        if peer is None:
            raise EOFError
        key = peer.id, hello.session
        if hello.purpose == "control":
            if key in self._sessions:
                await refuse(connection, "there is such a session already")
                return
            limit.reschedule(None)
            await self._hold(connection, hello, peer)
            return
        session = self._sessions.get(key)
        if session is None or session.service != hello.service or len(session.tunnels) >= _MOST_TUNNELS:
            await refuse(connection, "there is no such session" if session is None else "the session allows no more")
            return
        await self._connect(connection, session, hello.service)

    async def _hold(self, connection: Secured, hello: Hello, peer: Peer) -> None:
        control = Control(
            connection,
            asks=False,
            measured=lambda _: None,
            still_good=lambda: self._credentials.examine(connection.certificate),
        )
        session = self._sessions[peer.id, hello.session] = Session(peer, hello.service, control)
        try:
            await connection.say(Answer(accepted=True))
            await control.hold()
        finally:
            del self._sessions[peer.id, hello.session]
            session.cut()

    async def _connect(self, connection: Secured, session: Session, service: str) -> None:
        endpoint = self.exposed[service]
        try:
            near = await dial(endpoint.host, endpoint.port)
        except OSError as error:
            await refuse(connection, f"nothing answers behind {service}: {reason(error)}")
            return
        try:
            await connection.say(Answer(accepted=True))
        except BaseException:
            reset(near)
            raise
        if session.ended:  # meanwhile
            reset(near)
            reset(connection.sock)
            return
        tunnel = Tunnel(near, connection, self._scratch, session.tunnels.discard)
        session.tunnels.add(tunnel)
        tunnel.begin()

    def _turn_away(self, host: str, why: str) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._told_at < _QUIET_SECONDS:
            self._turned_away += 1
            return
        self._tell(TurnedAway(host, short(why), self._turned_away))
        self._turned_away, self._told_at = 0, now

    async def close(self) -> None:
        """End everything."""
        self._end(lambda _: True, "it is shutting down")
        for visit in tuple(self._visits):
            visit.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*self._visits, return_exceptions=True)
