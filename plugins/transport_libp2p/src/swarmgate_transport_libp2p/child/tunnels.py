"""Tunnels: bytes between TCP connections on loopback and libp2p streams, one stream for each connection.

A path is a listener on loopback; each connection to it is carried by :mod:`.splice`.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import trio
from swarmgate.api import NodeId, Unreachable, WireError

from swarmgate_transport_libp2p.child import headers, splice, wires

#: How long the far side may take to say whether the service is there, and to connect to it, in seconds.
_ANSWER_SECONDS, _CONNECT_SECONDS = 5.0, 5.0
#: The most tunnels one peer may have open to us.
MOST_OF_ONE = 1024

#: Connects to a peer, whose addresses may be these.
Connect = Callable[[NodeId, tuple[str, ...]], Awaitable[None]]


@dataclass(slots=True)
class Path:
    """One path to a service of a peer, as others hold it."""

    number: int
    peer: NodeId
    service: str
    hints: tuple[str, ...]
    listening: trio.CancelScope = field(default_factory=lambda: trio.CancelScope())  # noqa: PLW0108  # its class is mistyped
    carried: set[splice.Splice] = field(default_factory=set[splice.Splice])
    left: bool = False


class Tunnels:
    """What we expose, and the paths to what others do."""

    def __init__(self, host: Any, tasks: trio.Nursery, connect: Connect, told: Callable[..., None]) -> None:
        self.exposed: dict[str, tuple[str, int]] = {}
        self._host, self._tasks, self._connect, self._told = host, tasks, connect, told
        self._paths: dict[int, Path] = {}
        self._of_peer: Counter[NodeId] = Counter()
        host.set_stream_handler(headers.PROTOCOL, self._serve)

    def __repr__(self) -> str:
        return f"<Tunnels {len(self._paths)} paths, {len(self.exposed)} exposed>"

    @property
    def paths(self) -> tuple[Path, ...]:
        """Return the paths that are held."""
        return tuple(self._paths.values())

    def leave(self, number: int) -> None:
        """Close the path *number* and what goes through it."""
        if path := self._paths.pop(number, None):
            path.left = True
            path.listening.cancel()
            for each in path.carried:
                self._tasks.start_soon(each.break_off)

    async def reach(
        self, number: int, peer: NodeId, service: str, hints: tuple[str, ...], port: int = 0
    ) -> tuple[int, float]:
        """Open the path *number*, on *port* of loopback if that is not 0; return its port, and a round trip in seconds.

        Raises:
            Unreachable: it cannot be opened; the message says why.

        """
        path = Path(number, peer, service, hints)
        seconds = 0.0 if port else await self._check(path)
        try:
            (listener,) = await trio.open_tcp_listeners(port, host="127.0.0.1")
        except OSError as error:
            raise Unreachable(f"port {port} of loopback cannot be listened on again: {error.strerror}") from None
        self._paths[number] = path
        self._tasks.start_soon(self._listen, path, listener)
        return int(listener.socket.getsockname()[1]), seconds

    async def _check(self, path: Path) -> float:
        await self._connect(path.peer, path.hints)
        begin = trio.current_time()
        stream = await self._open(path, carries=False)
        seconds = trio.current_time() - begin
        try:
            async with wires.or_reset(self._tasks, stream, _ANSWER_SECONDS):
                await self._permitted(stream, path)
        finally:
            self._tasks.start_soon(wires.reset, stream)
        return seconds

    async def _open(self, path: Path, *, carries: bool) -> Any:
        from libp2p.peer.id import ID

        async def work() -> Any:
            stream = await self._host.new_stream(ID.from_base58(path.peer), [headers.PROTOCOL])
            await wires.write_all(stream, headers.ask(headers.Question(path.service, carries)))
            return stream

        return await wires.within(self._tasks, _ANSWER_SECONDS, work, late=wires.reset)

    async def _permitted(self, stream: Any, path: Path) -> None:
        try:
            head = await wires.read_exactly(stream, headers.ANSWER_BYTES)
            refusal = headers.read_answer(head, await wires.read_exactly(stream, head[1]))
        except (wires.StreamLost, WireError) as error:
            raise Unreachable(str(error)) from None
        if refusal:
            raise Unreachable(refusal)

    async def _listen(self, path: Path, listener: trio.SocketListener) -> None:
        async with listener:
            with path.listening:
                while True:
                    try:
                        local = await listener.accept()
                    except OSError:
                        await trio.sleep(0.1)  # out of descriptors, it may be; others give theirs back
                        continue
                    self._tasks.start_soon(self._forward, path, local)

    async def _forward(self, path: Path, local: trio.SocketStream) -> None:
        try:
            await self._connect(path.peer, path.hints)
            stream = await self._open(path, carries=True)
        except Unreachable as error:
            self._told("debug", "tunnel_failed", peer=path.peer, service=path.service, reason=str(error))
            splice.reset(local)
            return
        carried = splice.Splice(local, stream, lambda: self._permitted(stream, path))
        if path.left:
            await carried.break_off()
            return
        path.carried.add(carried)
        try:
            await carried.run(self._tasks)
        finally:
            path.carried.discard(carried)

    async def _serve(self, stream: Any) -> None:
        """Answer a peer that wants something of ours."""
        peer = NodeId(str(stream.muxed_conn.peer_id))
        if self._of_peer[peer] >= MOST_OF_ONE:
            await wires.reset(stream)
            return
        self._of_peer[peer] += 1
        try:
            local = await self._answer(stream)
            if local is not None:
                await splice.Splice(local, stream).run(self._tasks)
        except (wires.StreamLost, WireError):
            await wires.reset(stream)
        finally:
            self._of_peer[peer] -= 1
            if not self._of_peer[peer]:
                del self._of_peer[peer]

    async def _answer(self, stream: Any) -> trio.SocketStream | None:
        async with wires.or_reset(self._tasks, stream, _ANSWER_SECONDS):
            head = await wires.read_exactly(stream, headers.QUESTION_BYTES)
            name = await wires.read_exactly(stream, headers.question_length(head))
        question = headers.read_question(head, name)
        where = self.exposed.get(question.service)
        if where is None:
            await self._refuse(stream, f"it does not offer {question.service}")
            return None
        if not question.carries:
            await self._refuse(stream, "")
            return None
        try:
            with trio.fail_after(_CONNECT_SECONDS):
                local = await trio.open_tcp_stream(*where)
        except (OSError, trio.TooSlowError):
            await self._refuse(stream, f"its {question.service} does not answer")
            return None
        local.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await wires.write_all(stream, headers.answer())
        return local

    async def _refuse(self, stream: Any, reason: str) -> None:
        await wires.write_all(stream, headers.answer(reason))
        await wires.end(stream)
