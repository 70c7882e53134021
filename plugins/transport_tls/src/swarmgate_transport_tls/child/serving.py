"""Does what the gateway says: one listener for other members, and a link for each path."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

from swarmgate.api import Endpoint, Frame, NodeId, WireError

from swarmgate_transport_tls.child.credentials import Credentials, read
from swarmgate_transport_tls.child.link import Link
from swarmgate_transport_tls.child.listener import Listener
from swarmgate_transport_tls.child.sockets import listen, reason
from swarmgate_transport_tls.child.tunnel import Scratch
from swarmgate_transport_tls.messages import Conceal, Configure, Done, Expose, Leave, Listen, Reach, Revoke, ToChild

_AGAIN_SECONDS = 0.5


class Serving:
    """All that one child holds; *tell* takes what the gateway is to know."""

    def __init__(self, said: Configure, tell: Callable[[Frame], None]) -> None:
        self._tell, self._seconds = tell, said.timeout_seconds
        self._credentials: Credentials = read(said)
        self._scratch = Scratch()
        self._listener = Listener(self._credentials, self._scratch, seconds=said.timeout_seconds, tell=tell)
        self._links: dict[int, tuple[Link, asyncio.Task[None]]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._credentials.membership.revocations.listen(self._revoked)

    def __repr__(self) -> str:
        return f"<Serving {self._listener!r}, {len(self._links)} links>"

    def take(self, frame: ToChild) -> None:
        """Do what *frame* says.

        Raises:
            WireError: it cannot be said at this point.

        """
        match frame:
            case Revoke(peer=peer):
                self._credentials.membership.revocations.add(peer)
            case Listen():
                self._begin(self._listen(frame))
            case Expose(id=number, service=service, host=host, port=port):
                self._listener.exposed[service] = Endpoint(host, port)
                self._tell(Done(number))
            case Conceal(id=number, service=service):
                self._listener.conceal(service)
                self._tell(Done(number))
            case Reach():
                link = Link(frame, self._credentials, self._scratch, seconds=self._seconds, tell=self._tell)
                self._links[frame.id] = link, self._begin(link.run())
            case Leave(id=number):
                self._leave(number)
            case Configure():
                raise WireError("configured twice")

    async def close(self) -> None:
        """End everything."""
        for number in tuple(self._links):
            self._leave(number)
        await self._listener.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _leave(self, number: int) -> None:
        if (held := self._links.pop(number, None)) is not None:
            held[1].cancel()

    def _revoked(self, peer: NodeId) -> None:
        self._listener.revoke(peer)
        for link, _ in self._links.values():
            if link.peer == peer:
                link.end(f"{peer} is revoked")

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            asyncio.get_running_loop().call_exception_handler({"message": "a task failed", "exception": error})

    async def _listen(self, asked: Listen) -> None:
        sockets: list[socket.socket] = []
        while not sockets:
            try:
                sockets = _open(asked)
            except OSError as error:
                if not asked.again:
                    self._tell(Done(asked.id, reason=reason(error)))
                    return
                await asyncio.sleep(_AGAIN_SECONDS)
        host, port = sockets[0].getsockname()[:2]
        self._tell(Done(asked.id, str(host), int(port)))
        try:
            await asyncio.gather(*map(self._listener.serve, sockets))
        finally:
            for opened in sockets:
                opened.close()


def _open(asked: Listen) -> list[socket.socket]:
    hosts = [asked.host] if asked.host else ["::", "0.0.0.0"] if socket.has_dualstack_ipv6() else ["0.0.0.0"]  # noqa: S104  # members of the swarm come from anywhere
    failed: OSError | None = None
    for port in (asked.port, 0) if asked.any_port else (asked.port,):
        for host in hosts:
            try:
                return listen(host, port)
            except OSError as error:
                failed = failed or error
    raise failed or OSError("nowhere to listen")
