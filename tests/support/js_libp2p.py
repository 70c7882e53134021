"""Runs a js-libp2p node: a program of its own (``tests/journeys/foreign/js``), told what to do line by line."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import msgspec
from anyio.abc import Process, SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream, BufferedByteStream
from foreign_peers import PATIENCE, Answer, Refused
from outsiders import node_with
from swarmgate.api import Membership, NodeId

_FOLDER = Path(__file__).parents[1] / "journeys" / "foreign" / "js"
_LONGEST_LINE = 1 << 20


class _Asked:
    """An order on its way: what came of it, and the stream it opened."""

    def __init__(self) -> None:
        self.settled, self.opened, self.used = anyio.Event(), anyio.Event(), anyio.Event()
        self.done: Any = None
        self.error = ""
        self.stream: BufferedByteStream | None = None


class JsPeer:
    """A js-libp2p node; :func:`a_js_peer` makes one."""

    def __init__(self, id: NodeId, process: Process) -> None:  # noqa: A002  # as in all the house
        self.id = id
        self.addresses: tuple[str, ...] = ()
        self.heard: list[tuple[str, bytes]] = []
        self._process = process
        self._numbers = count(1)
        self._asked: dict[int, _Asked] = {0: _Asked()}
        self._answers: dict[str, Answer] = {}

    async def dial(self, address: str) -> None:
        await self._do("dial", address=address)

    async def hang_up(self, peer: NodeId) -> None:
        await self._do("hang_up", peer=peer)

    async def peers(self) -> set[NodeId]:
        return set(await self._do("peers"))

    @asynccontextmanager
    async def open(self, peer: NodeId, protocol: str) -> AsyncGenerator[BufferedByteStream]:
        number, asked = self._order()
        try:
            await self._told(number, "open", peer=peer, protocol=protocol)
            with anyio.fail_after(PATIENCE):
                await asked.opened.wait()
            assert asked.stream
            yield asked.stream
        finally:
            asked.used.set()
            del self._asked[number]

    async def handle(self, protocol: str, answer: Answer) -> None:
        self._answers[protocol] = answer
        await self._do("handle", protocol=protocol)

    async def subscribe(self, topic: str) -> None:
        await self._do("subscribe", topic=topic)

    async def subscribers(self, topic: str) -> set[NodeId]:
        return set(await self._do("subscribers", topic=topic))

    async def publish(self, topic: str, data: bytes) -> None:
        await self._do("publish", topic=topic, data=base64.b64encode(data).decode())

    async def provide(self, key: bytes) -> None:
        await self._do("provide", key=base64.b64encode(key).decode())

    async def find(self, key: bytes) -> set[NodeId]:
        return set(await self._do("find", key=base64.b64encode(key).decode()))

    async def protocols(self, peer: NodeId) -> list[str]:
        """Return what *peer* has said that it speaks."""
        return await self._do("protocols", peer=peer)

    async def up(self) -> None:
        """Return once it listens."""
        with anyio.fail_after(PATIENCE):
            await self._asked[0].settled.wait()
        self.addresses = tuple(text.partition("/p2p/")[0] for text in self._asked[0].done)

    async def _do(self, order: str, **facts: Any) -> Any:
        number, _ = self._order()
        try:
            return await self._told(number, order, **facts)
        finally:
            del self._asked[number]

    def _order(self) -> tuple[int, _Asked]:
        number, asked = next(self._numbers), _Asked()
        self._asked[number] = asked
        return number, asked

    async def _told(self, number: int, order: str, **facts: Any) -> Any:
        assert self._process.stdin
        asked = self._asked[number]
        await self._process.stdin.send(msgspec.json.encode({"id": number, "do": order, **facts}) + b"\n")
        with anyio.fail_after(PATIENCE):
            await asked.settled.wait()
        if asked.error:
            raise Refused(asked.error)
        return asked.done

    async def listen(self) -> None:
        """Take in what the program says, until it ends."""
        assert self._process.stdout
        lines = BufferedByteReceiveStream(self._process.stdout)
        while True:
            try:
                said: dict[str, Any] = msgspec.json.decode(await lines.receive_until(b"\n", _LONGEST_LINE))
            except (anyio.IncompleteRead, anyio.EndOfStream, anyio.ClosedResourceError):
                return
            if "heard" in said:
                self.heard.append((said["topic"], base64.b64decode(said["heard"])))
            elif asked := self._asked.get(said["id"]):
                asked.done, asked.error = said.get("done"), said.get("error", "")
                asked.settled.set()

    async def carry(self, socket: SocketStream) -> None:
        """Take in a libp2p stream, which the program carries over *socket*."""
        async with socket:
            stream = BufferedByteStream(socket)
            told: dict[str, Any] = msgspec.json.decode(await stream.receive_until(b"\n", _LONGEST_LINE))
            if "protocol" in told:
                await self._answers[told["protocol"]](NodeId(told["peer"]), stream)
            elif asked := self._asked.get(told["id"]):
                asked.stream = stream
                asked.opened.set()
                await asked.used.wait()


@asynccontextmanager
async def a_js_peer(member: Membership) -> AsyncGenerator[JsPeer]:
    """Run a js-libp2p node that has the key of *member*, listening on loopback."""
    node, folder = node_with(_FOLDER)
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        port = listener.extra(SocketAttribute.local_port)  # noqa: S610  # this is anyio's, not Django's
        command = [str(node), str(folder / "peer.mjs")]
        async with await anyio.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None) as it:
            try:
                peer = JsPeer(member.id, it)
                tasks.start_soon(peer.listen)
                tasks.start_soon(listener.serve, peer.carry)
                assert it.stdin
                await it.stdin.send(msgspec.json.encode({"port": port, "seed": member.key.hex()}) + b"\n")
                await peer.up()
                yield peer
            finally:
                it.kill()
        tasks.cancel_scope.cancel()
