"""Hole punching: two members behind NATs that talk through a relay dial each other at the same moment, by DCUtR.

Each NAT lets in what answers what went out.  So both send their first packet before that of the other arrives; the two
dials become one connection (TCP's simultaneous open), for which both leave from the port that they listen on.  Who was
reached through the relay begins, and is the one that was dialled afterwards, too: as to Noise, yamux and the hello.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio
from libp2p.peer.id import ID
from multiaddr import Multiaddr
from swarmgate.api import NodeId, Unreachable, WireError

from swarmgate_transport_libp2p.child import holes, wires
from swarmgate_transport_libp2p.child.relaying import MOST_RELAYS, Relaying

_IDENTIFY = "/ipfs/id/1.0.0"
#: The longest answer to the question who somebody is, in bytes.
_LONGEST_IDENTITY = 64 * 1024
#: How often it is tried, one after the other, on one stream; the specification's number.
ATTEMPTS = 3
#: How long one step of the conversation may take, how long the dials, and all attempts together, in seconds.
_STEP, _DIAL, _ALL = 5.0, 3.0, 40.0
#: How long between dials to an address that refuses: a NAT that refuses what it does not expect yet may expect it soon.
_AGAIN = 0.1


class Punching:
    """Direct connections with peers that so far are reached through relays."""

    def __init__(
        self,
        host: Any,
        relaying: Relaying,
        tasks: trio.Nursery,
        *,
        is_relayed: Callable[[NodeId], bool],
        told: Callable[..., None],
    ) -> None:
        self._host, self._network = host, host.get_network()
        self._relaying, self._tasks = relaying, tasks
        self._is_relayed, self._told = is_relayed, told
        self._self = NodeId(str(host.get_id()))
        self._beginning: set[NodeId] = set()
        self._busy: set[NodeId] = set()
        host.set_stream_handler(holes.PROTOCOL, self._answer)

    def __repr__(self) -> str:
        return f"<Punching towards {len(self._beginning | self._busy)}>"

    async def punch(self, peer: NodeId) -> None:
        """Try to come to a direct connection with *peer*, which has reached us through a relay.

        Raises:
            Unreachable: it came to nothing; the message says why.

        """
        if peer in self._busy or peer in self._beginning:
            raise Unreachable("it is being tried")
        self._beginning.add(peer)
        try:
            ours = await self._where_we_are()
            if not ours:
                raise Unreachable("no relay says at which address it sees us")

            async def work() -> Any:
                return await self._host.new_stream(ID.from_base58(peer), [holes.PROTOCOL])

            stream = await wires.within(self._tasks, _STEP, work, late=wires.reset)
            try:
                async with wires.or_reset(self._tasks, stream, _ALL):
                    await self._begin(stream, peer, ours)
            except (wires.StreamLost, WireError) as error:
                raise Unreachable(str(error)) from error
            finally:
                self._tasks.start_soon(wires.reset, stream)
        finally:
            self._beginning.discard(peer)

    async def _begin(self, stream: Any, peer: NodeId, ours: list[str]) -> None:
        failures: list[str] = []
        for _ in range(ATTEMPTS):
            since = trio.current_time()
            await wires.write_all(stream, holes.write(holes.CONNECT, ours))
            theirs = holes.read(await _message(stream), holes.CONNECT)
            waiting = holes.delay(trio.current_time() - since)
            await wires.write_all(stream, holes.write(holes.SYNC))
            await trio.sleep(waiting)
            failures = await self._dial(peer, theirs, self._network.dial_addr_as_responder)
            self._told(
                "debug", "punched", peer=peer, at=" ".join(theirs), ours=" ".join(ours), failed="; ".join(failures)
            )
            if not self._is_relayed(peer):
                return
        raise Unreachable("; ".join(failures) or "nothing came of dialling at once")

    async def _answer(self, stream: Any) -> None:
        """Do as a peer says that we have reached through a relay, for as long as it goes on."""
        peer = NodeId(str(stream.muxed_conn.peer_id))
        # Both may have reached the other through a relay, and begin at once: one of them goes on, the other follows.
        if not self._is_relayed(peer) or peer in self._busy or (peer in self._beginning and self._self < peer):
            await wires.reset(stream)
            return
        self._busy.add(peer)
        try:
            async with wires.or_reset(self._tasks, stream, _ALL):
                for _ in range(ATTEMPTS):
                    theirs = holes.read(await _message(stream), holes.CONNECT)
                    await wires.write_all(stream, holes.write(holes.CONNECT, await self._where_we_are()))
                    holes.read(await _message(stream), holes.SYNC)
                    await self._dial(peer, theirs, self._network.dial_addr)
                    if not self._is_relayed(peer):
                        break
            await wires.end(stream)
        except (wires.StreamLost, WireError) as error:
            self._told("debug", "not_punched", peer=peer, reason=str(error))
            await wires.reset(stream)
        finally:
            self._busy.discard(peer)

    async def _dial(self, peer: NodeId, addresses: list[str], dial: Callable[..., Awaitable[Any]]) -> list[str]:
        """Dial *addresses* at once from the ports we listen on, until one leads to *peer*; return what failed."""
        listening = self._listening()
        failures: list[str] = []
        over = trio.Event()
        left = len(addresses)

        async def attempt(address: str) -> None:
            nonlocal left
            until = trio.current_time() + _DIAL
            reason = ""
            while trio.current_time() < until and self._is_relayed(peer):
                try:
                    await dial(Multiaddr(address), ID.from_base58(peer), holes.source(address, listening))
                except Exception as error:  # noqa: BLE001  # whatever the library raises
                    reason = wires.told(error)
                    await trio.sleep(_AGAIN)
                else:
                    break
            failures.extend([f"{address}: {reason}"] if reason else [])
            left -= 1
            if left == 0 or not self._is_relayed(peer):
                over.set()

        for address in addresses:
            self._tasks.start_soon(attempt, address)
        if addresses:
            with trio.move_on_after(2 * _DIAL):
                await over.wait()
        return failures

    def _listening(self) -> list[str]:
        return [str(each).partition("/p2p/")[0] for each in self._host.get_transport_addrs()]

    async def _where_we_are(self) -> list[str]:
        """Return where our dials are likely to come from, by what the relays see."""
        seen: list[str] = []
        async with trio.open_nursery() as asking:
            for relay in list(self._relaying.relays)[:MOST_RELAYS]:
                asking.start_soon(self._ask, relay, seen)
        return holes.predicted(seen, self._listening())

    async def _ask(self, relay: NodeId, seen: list[str]) -> None:
        """Add to *seen* where *relay* sees us, as its answer to libp2p's identify says."""
        from libp2p.identity.identify.identify import parse_identify_response

        async def work() -> str:
            stream = await self._host.new_stream(ID.from_base58(relay), [_IDENTIFY])
            async with wires.or_reset(self._tasks, stream, _STEP):
                data = b""
                while (more := await wires.read_some(stream, _LONGEST_IDENTITY)) and len(data) <= _LONGEST_IDENTITY:
                    data += more
            self._tasks.start_soon(wires.reset, stream)
            return str(Multiaddr(parse_identify_response(data).observed_addr))

        try:
            seen.append(await wires.within(self._tasks, _STEP, work))
        except Unreachable as error:
            self._told("debug", "not_seen", relay=relay, reason=str(error))


async def _message(stream: Any) -> bytes:
    head = await wires.read_exactly(stream, 1)
    while (size := holes.length(head)) is None:
        head += await wires.read_exactly(stream, 1)
    return await wires.read_exactly(stream, size)
