from __future__ import annotations

import hashlib

import pytest
from libp2p_nodes import contact, until
from swarmgate.api import NodeId
from swarmgate_transport_libp2p.messages import LARGEST_SAID, LARGEST_SPREAD, Channel
from swarmgate_transport_libp2p.sidecar import Sidecar

pytestmark = pytest.mark.swarm
BURST = 200


class Ear:
    """Hears, and keeps what it heard."""

    def __init__(self) -> None:
        self.spread: list[bytes] = []
        self.told: list[tuple[NodeId, Channel, bytes]] = []

    def met(self, peer: NodeId) -> None: ...

    def parted(self, peer: NodeId) -> None: ...

    def published(self, data: bytes) -> None:
        self.spread.append(data)

    def said(self, peer: NodeId, channel: Channel, data: bytes) -> None:
        self.told.append((peer, channel, data))


async def joined(pair: list[Sidecar], ear: Ear) -> None:
    """Have both take part, and wait until the first is heard by *ear* at the second."""
    await contact(*pair)
    for each in pair:
        each.join()
    one = pair[0].membership

    def heard() -> bool:
        pair[0].publish(one.seal(b"are you there?", purpose=b"gossip"))
        return bool(ear.spread)

    await until(heard)


@pytest.mark.anyio
async def test_what_no_member_sealed_is_not_passed_on(pair: list[Sidecar]) -> None:
    """Garbage, and what was sealed for another purpose, reach nobody; nor does what is too large."""
    ear, one = Ear(), pair[0].membership
    with pair[1].attended(ear):
        await joined(pair, ear)
        for bad in (
            b"garbage",
            one.seal(b"hello", purpose=b"mdns"),
            one.seal(bytes(LARGEST_SPREAD), purpose=b"gossip"),
        ):
            pair[0].publish(bad)
        last = one.seal(b"the last", purpose=b"gossip")
        pair[0].publish(last)
        await until(lambda: last in ear.spread)
    assert {one.unseal(data, purpose=b"gossip") for data in ear.spread} == {b"are you there?", b"the last"}


@pytest.mark.anyio
async def test_a_burst_arrives_whole(pair: list[Sidecar]) -> None:
    """More than ten messages in a second are not taken for spam, and large ones do not mix."""
    ear, one = Ear(), pair[0].membership
    bodies = [number.to_bytes(2, "big") * (LARGEST_SPREAD // 2 - 100) for number in range(BURST)]
    with pair[1].attended(ear):
        await joined(pair, ear)
        for body in bodies:
            pair[0].publish(one.seal(body, purpose=b"gossip"))
        await until(lambda: len({hashlib.sha256(each).digest() for each in ear.spread}) > BURST)
    assert set(bodies) <= {one.unseal(data, purpose=b"gossip") for data in ear.spread}


@pytest.mark.anyio
async def test_what_is_said_to_one_is_heard_by_one(pair: list[Sidecar]) -> None:
    """Direct messages arrive by their channels, with who said them; one that is too large does not."""
    ear = Ear()
    await contact(*pair)
    with pair[1].attended(ear):
        pair[0].say(pair[1].membership.id, "sync", bytes(LARGEST_SAID + 1))
        pair[0].say(pair[1].membership.id, "sync", bytes(200_000))
        pair[0].say(pair[1].membership.id, "offers", b"")
        await until(lambda: len(ear.told) == 2)
    me = pair[0].membership.id
    assert sorted(ear.told) == [(me, "offers", b""), (me, "sync", bytes(200_000))]
