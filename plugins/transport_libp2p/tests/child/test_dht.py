from __future__ import annotations

import random
from typing import Any

import trio
import trio.testing
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.id import ID
from swarmgate.api import NodeId
from swarmgate.testing import FakeClock, a_swarm
from swarmgate_transport_libp2p.child.dht import Seeker, key_of


class Records:
    """Stands in for the library's store and its network: what is provided can be found."""

    def __init__(self) -> None:
        self.provided: list[tuple[float, bytes]] = []
        self.providing_keys: set[bytes] = set()
        self.found: list[Any] = []
        self.asked: list[bytes] = []
        self.failing = 0

    async def find_closest_peers_network(self, _key: bytes) -> list[str]:
        if self.failing:
            self.failing -= 1
            raise OSError("nobody answers")
        return ["a neighbour"]

    async def _get_providers_from_peer_with_closers(self, _peer: str, key: bytes) -> tuple[list[Any], list[Any]]:
        self.asked.append(key)
        return self.found, []

    def get_providers(self, _key: bytes) -> list[Any]:
        return []

    async def provide(self, key: bytes) -> bool:
        self.provided.append((trio.current_time(), key))
        self.providing_keys.add(key)
        return True


class Info:
    def __init__(self, peer: str, *addrs: str) -> None:
        self.peer_id, self.addrs = peer, addrs


class Host:
    def get_id(self) -> str:
        return "ourselves"


class Dht:
    def __init__(self, records: Records) -> None:
        self.provider_store = self.peer_routing = records

    def get_routing_table_size(self) -> int:
        return 1

    async def add_peer(self, _peer: ID, *, skip_server_mode_check: bool) -> None:
        assert skip_server_mode_check


def seek(
    records: Records, seconds: float, *, sated: bool = False, comers: int = 0
) -> tuple[list[tuple[str, list[str]]], list[str], FakeClock, list[str]]:
    """Seek for so many seconds of virtual time, from the begin of an hour on; return what came of it."""
    clock, found, complaints = FakeClock(3600.0 * 500_000), list[tuple[str, list[str]]](), list[str]()
    (member,) = a_swarm("owner")
    object.__setattr__(member, "clock", clock)
    names = list(member.rendezvous_names())

    async def main() -> None:
        seeker = Seeker(
            Host(),
            member,
            found=lambda peer, where: found.append((NodeId(peer), where)),
            told=lambda _level, _event, **facts: complaints.extend([facts["reason"]] if "reason" in facts else ()),
            sated=lambda: sated,
            dice=random.Random(1),
        )
        seeker._dht = Dht(records)
        begun = clock.now

        async def tick() -> None:
            while True:
                clock.now = begun + trio.current_time()
                await trio.sleep(1)

        async with trio.open_nursery() as tasks:
            tasks.start_soon(tick)
            tasks.start_soon(seeker._seek)
            for number in range(comers):
                await trio.sleep(seconds / comers)
                await seeker.met(NodeId(str(ID.from_pubkey(create_new_key_pair(bytes([number]) * 32).public_key))))
            if not comers:
                await trio.sleep(seconds)
            tasks.cancel_scope.cancel()

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    return found, names, clock, complaints


def test_a_name_becomes_a_multihash() -> None:
    """Other implementations take no other keys: SHA-256's code, its length, and the digest."""
    key = key_of("ab" * 20)
    assert key[:2] == b"\x12\x20"
    assert len(key) == 34
    assert key != key_of("cd" * 20)


def test_who_provides_the_names_is_found() -> None:
    """Each provider is told once for a look, however many tell of it, and we are not among them."""
    records = Records()
    records.found = [Info("them", "/ip4/10.0.0.5/tcp/1"), Info("them", "/ip4/10.0.0.5/tcp/1"), Info("ourselves")]
    found, names, _, _ = seek(records, 0.5)
    assert found == [("them", ["/ip4/10.0.0.5/tcp/1"])] * 2  # this hour's name and the one before
    assert records.asked == [key_of(name) for name in names]


def test_the_names_are_provided_again_and_change_by_the_hour() -> None:
    """Every ten minutes while they hold; the library does not go on with those that hold no more."""
    records = Records()
    _, names, _, _ = seek(records, 2 * 3600.0)
    first = [when for when, key in records.provided if key == key_of(names[0])]
    assert 10 <= len(first) <= 13
    assert max(first) < 2 * 3600.0
    before = [when for when, key in records.provided if key == key_of(names[1])]
    assert max(before) < 3600.0 + 61
    assert len({key for _, key in records.provided}) == 3  # those of the hour before, of the first and of the second
    assert len(records.providing_keys) == 2
    assert key_of(names[1]) not in records.providing_keys


def test_a_failure_is_told_and_tried_again() -> None:
    """Nothing that the library raises ends the seeking."""
    records = Records()
    records.failing = 3
    records.found = [Info("them")]
    found, _, _, complaints = seek(records, 20.0)
    assert complaints == ["nobody answers"] * 3
    assert found


def test_who_comes_is_a_reason_to_look_only_for_who_knows_few() -> None:
    """Each of many that come together would else have all the others ask one another for each of them."""
    few, many = Records(), Records()
    seek(few, 100.0, comers=20)
    seek(many, 100.0, comers=20, sated=True)
    assert len(few.asked) > 20
    assert len(many.asked) == 2  # both names, once
