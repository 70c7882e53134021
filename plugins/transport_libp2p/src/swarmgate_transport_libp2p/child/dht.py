"""Finds members by the DHT: each provides the swarm's rendezvous names, and looks for who else does.

The names change by the hour and cannot be guessed without the token.  What is found is dialled like any other hint;
only the hello says whether it is a member.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from typing import Any

import trio
from swarmgate.api import Membership, NodeId

from swarmgate_transport_libp2p.child import wires

#: How long between two looks, in seconds: at first, while nobody has been found, and when all is calm.
_FIRST, _CALM = 1.0, 60.0
#: And while enough are connected, so that nobody has to be found: only for those who know nobody.
_SATED = 300.0
#: How often the names are provided again, in seconds; a record that nobody renews goes away in a day or two.
_PROVIDED = 600.0
_MOST_FOUND = 128
#: How many of the peers closest to a name are asked.
_ASKED = 20
#: What precedes a SHA-256 digest in a multihash; other implementations accept no other keys.
_SHA256 = b"\x12\x20"


class Seeker:
    """Provides and looks for the swarm's names, with whoever is connected; *found* is called with who was found.

    *sated* says whether enough are connected: then nobody who comes is a reason to look again, or many that come at the
    same time would all ask one another for each that comes.
    """

    def __init__(
        self,
        host: Any,
        membership: Membership,
        *,
        found: Callable[[NodeId, list[str]], None],
        told: Callable[..., None],
        sated: Callable[[], bool] = lambda: False,
        dice: random.Random | None = None,
    ) -> None:
        self._host, self._membership, self._found, self._told = host, membership, found, told
        self._sated, self._dice = sated, dice or random.Random()  # noqa: S311  # no secret
        self._news = trio.Event()
        self._dht: Any = None

    def __repr__(self) -> str:
        return f"<Seeker, {self._dht.get_routing_table_size() if self._dht else 0} peers in its table>"

    async def met(self, peer: NodeId) -> None:
        """Take *peer*, who is connected, for one to ask, and look again soon."""
        from libp2p.peer.id import ID

        if self._dht is not None:
            await self._dht.add_peer(ID.from_base58(peer), skip_server_mode_check=True)
            if not self._sated():
                self._news.set()

    async def run(self, connected: Callable[[], list[NodeId]]) -> None:
        """Seek until cancelled; *connected* tells who is already."""
        from libp2p.kad_dht.kad_dht import DHTMode, KadDHT
        from libp2p.tools.anyio_service import background_trio_service

        self._dht = KadDHT(self._host, DHTMode.SERVER, enable_values=False)
        async with background_trio_service(self._dht):
            for peer in connected():
                await self.met(peer)
            await self._seek()

    async def _seek(self) -> None:
        provided: dict[bytes, float] = {}
        pause = _FIRST
        while True:
            self._news = trio.Event()
            keys = [key_of(name) for name in self._membership.rendezvous_names()]
            for key in keys:
                await self._look(key)
            now = trio.current_time()
            for key in keys:
                if now - provided.get(key, -_PROVIDED) >= _PROVIDED and await self._provide(key):
                    provided[key] = now
            for key in [key for key in provided if key not in keys]:
                del provided[key]
                self._dht.provider_store.providing_keys.discard(key)  # else the library renews it for ever
            with trio.move_on_after(_SATED if self._sated() else pause) as patience:
                await self._news.wait()
            if not patience.cancelled_caught:
                await trio.sleep(_FIRST * (1 + self._dice.random()))  # several come together at the start
                pause = _FIRST
            pause = min(pause * 2, _CALM)

    async def _look(self, key: bytes) -> None:
        """Ask whoever is closest to *key*; not by the library's own look, which stops at what is known here."""
        store, ours = self._dht.provider_store, self._host.get_id()
        found: dict[Any, Any] = {}

        def note(providers: list[Any], by: Any) -> None:
            for info in providers:
                if info.peer_id != ours:
                    found[info.peer_id] = info.addrs
                    self._told("debug", "dht_found", peer=str(info.peer_id), by=str(by))

        note(store.get_providers(key), ours)
        try:
            closest: list[Any] = list(await self._dht.peer_routing.find_closest_peers_network(key))
        except Exception as error:  # noqa: BLE001  # whatever the library raises
            self._told("debug", "dht_failed", doing="looking for peers", reason=wires.told(error))
            closest = []

        async def ask(peer_id: Any) -> None:
            try:
                # private, and the only way to ask one peer for providers (version 0.8.1)
                answer, _ = await store._get_providers_from_peer_with_closers(peer_id, key)  # noqa: SLF001
            except Exception as error:  # noqa: BLE001  # whatever the library raises
                self._told("debug", "dht_failed", doing="asking for providers", reason=wires.told(error))
                return
            note(answer[:_MOST_FOUND], peer_id)

        async with trio.open_nursery() as asking:
            for peer_id in closest[:_ASKED]:
                if peer_id != ours:
                    asking.start_soon(ask, peer_id)
        for peer_id, addresses in list(found.items())[:_MOST_FOUND]:
            self._found(NodeId(str(peer_id)), [str(each) for each in addresses])

    async def _provide(self, key: bytes) -> bool:
        try:
            return bool(await self._dht.provider_store.provide(key))
        except Exception as error:  # noqa: BLE001  # whatever the library raises
            self._told("debug", "dht_failed", doing="providing", reason=wires.told(error))
            return False


def key_of(name: str) -> bytes:
    """Return the DHT's key, a multihash, of a rendezvous *name*."""
    return _SHA256 + hashlib.sha256(name.encode()).digest()
