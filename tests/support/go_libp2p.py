"""Runs a go-libp2p node: the daemon ``p2pd``, told what to do over its control socket.

Format: each message is preceded by its length as a varint; fields have the numbers of go-libp2p-daemon's
``p2pd.proto``.
A connection on which a stream was opened carries that stream from then on, and so does one that the daemon makes to us
for a stream that others have opened.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import base58
from anyio.abc import ByteStream, TaskGroup
from anyio.streams.buffered import BufferedByteReceiveStream, BufferedByteStream
from foreign_peers import PATIENCE, Answer, Refused
from multiaddr import Multiaddr
from outsiders import go_daemon
from protofields import Fields, Value, message, varint
from swarmgate.api import Membership, NodeId, public_key_of

_LONGEST_LINE = 4096
#: What a request is about: the value of its type, and the field with the particulars.
_CONNECT, _OPEN, _HANDLE, _DHT, _PEERS, _DISCONNECT, _PUBSUB = (1, 2), (2, 3), (3, 4), (4, 5), (5, 0), (7, 7), (8, 8)
_FIND_PROVIDERS, _PROVIDE = 2, 8
_LIST_PEERS, _PUBLISH, _SUBSCRIBE = 1, 2, 3
_DHT_END = 2
_MOST_FOUND = 16


class GoPeer:
    """A go-libp2p node; :func:`a_go_peer` makes one."""

    def __init__(self, id: NodeId, folder: Path, tasks: TaskGroup) -> None:  # noqa: A002  # as in all the house
        self.id = id
        self.addresses: tuple[str, ...] = ()
        self.heard: list[tuple[str, bytes]] = []
        self._folder, self._tasks = folder, tasks

    async def dial(self, address: str) -> None:
        where, _, peer = address.partition("/p2p/")
        await self._ask(_CONNECT, {1: _raw(NodeId(peer)), 2: Multiaddr(where).to_bytes(), 3: int(PATIENCE)})

    async def hang_up(self, peer: NodeId) -> None:
        await self._ask(_DISCONNECT, {1: _raw(peer)})

    async def peers(self) -> set[NodeId]:
        return {_peer(Fields(each).data(1)) for each in (await self._ask(_PEERS, {})).all(6)}

    @asynccontextmanager
    async def open(self, peer: NodeId, protocol: str) -> AsyncGenerator[BufferedByteStream]:
        async with self._asked(_OPEN, {1: _raw(peer), 2: protocol, 3: int(PATIENCE)}) as (_, stream):
            yield stream

    async def handle(self, protocol: str, answer: Answer) -> None:
        path = self._folder / f"stream{protocol.replace('/', '-')}"

        async def carry(socket: ByteStream) -> None:
            async with socket:
                stream = BufferedByteStream(socket)
                await answer(_peer((await _receive(stream)).data(1)), stream)

        async def listen(listener: Any) -> None:
            async with listener:
                await listener.serve(carry)

        self._tasks.start_soon(listen, await anyio.create_unix_listener(path))
        await self._ask(_HANDLE, {1: _unix(path), 2: protocol, 3: 0})

    async def subscribe(self, topic: str) -> None:
        subscribed = anyio.Event()

        async def listen() -> None:
            async with self._asked(_PUBSUB, {1: _SUBSCRIBE, 2: topic}) as (_, stream):
                subscribed.set()
                while True:
                    self.heard.append((topic, (await _receive(stream)).data(2)))

        self._tasks.start_soon(listen)
        with anyio.fail_after(PATIENCE):
            await subscribed.wait()

    async def subscribers(self, topic: str) -> set[NodeId]:
        told = await self._ask(_PUBSUB, {1: _LIST_PEERS, 2: topic})
        return {_peer(each) for each in Fields(told.data(7)).all(2)}

    async def publish(self, topic: str, data: bytes) -> None:
        await self._ask(_PUBSUB, {1: _PUBLISH, 2: topic, 3: data})

    async def provide(self, key: bytes) -> None:
        await self._ask(_DHT, {1: _PROVIDE, 3: _cid(key), 7: int(PATIENCE)})

    async def find(self, key: bytes) -> set[NodeId]:
        found: set[NodeId] = set()
        particulars: dict[int, Value] = {1: _FIND_PROVIDERS, 3: _cid(key), 6: _MOST_FOUND, 7: int(PATIENCE)}
        async with self._asked(_DHT, particulars) as (_, stream):
            while (told := await _receive(stream)).number(1) != _DHT_END:
                found.add(_peer(Fields(told.data(2)).data(1)))
        return found

    async def _ask(self, about: tuple[int, int], particulars: dict[int, Value]) -> Fields:
        async with self._asked(about, particulars) as (told, _):
            return told

    @asynccontextmanager
    async def _asked(
        self, about: tuple[int, int], particulars: dict[int, Value]
    ) -> AsyncGenerator[tuple[Fields, BufferedByteStream]]:
        """Yield what the daemon answers to a request, and the connection to it, on which more may follow.

        Raises:
            Refused: it could not do it; the message is its own.

        """
        kind, field = about
        request = message({1: kind, **({field: message(particulars)} if field else {})})
        async with await anyio.connect_unix(self._folder / "control") as socket:
            stream = BufferedByteStream(socket)
            await stream.send(varint(len(request)) + request)
            with anyio.fail_after(PATIENCE):
                told = await _receive(stream)
            if told.number(1):
                raise Refused(Fields(told.data(2)).data(1).decode())
            yield told, stream


async def _receive(stream: BufferedByteStream) -> Fields:
    size = shift = 0
    while True:
        (digit,) = await stream.receive_exactly(1)
        size |= (digit & 0x7F) << shift
        if digit < 0x80:
            return Fields(await stream.receive_exactly(size) if size else b"")
        shift += 7


def _raw(peer: NodeId) -> bytes:
    return base58.b58decode(peer)


def _peer(raw: bytes) -> NodeId:
    return NodeId(base58.b58encode(raw).decode())


def _unix(path: Path) -> bytes:
    """Return the multiaddress of the Unix socket at *path* as Go reads it: with the first slash, which Python drops."""
    return varint(400) + varint(len(bytes(path))) + bytes(path)


def _cid(multihash: bytes) -> bytes:
    return b"\x01\x55" + multihash  # version 1, of raw bytes


@asynccontextmanager
async def a_go_peer(member: Membership) -> AsyncGenerator[GoPeer]:
    """Run a go-libp2p node that has the key of *member*, listening on loopback."""
    daemon = go_daemon()
    # a folder with a short name: the path of a Unix socket has 107 bytes at most
    with tempfile.TemporaryDirectory(prefix="p2pd-") as name:
        folder = Path(name)
        # libp2p's protobuf PrivateKey: its type, Ed25519, and 64 bytes, the seed and the public key
        (folder / "key").write_bytes(message({1: 1, 2: member.key + public_key_of(member.id)}))
        command = [str(daemon), "-listen", f"/unix{folder / 'control'}", "-id", str(folder / "key")]
        command += ["-hostAddrs", "/ip4/127.0.0.1/tcp/0", "-dhtServer", "-pubsub", "-natPortMap=false"]
        async with (
            await anyio.open_process(command, stdout=subprocess.PIPE, stderr=None) as it,
            anyio.create_task_group() as tasks,
        ):
            try:
                assert it.stdout
                peer = GoPeer(member.id, folder, tasks)
                with anyio.fail_after(PATIENCE):
                    peer.addresses = (await _up(BufferedByteReceiveStream(it.stdout)),)
                yield peer
            finally:
                it.kill()
                tasks.cancel_scope.cancel()


async def _up(lines: BufferedByteReceiveStream) -> str:
    """Return where the daemon listens, as soon as it says so."""
    while True:
        line = (await lines.receive_until(b"\n", _LONGEST_LINE)).decode()
        if line.startswith("/ip4/"):
            return line
