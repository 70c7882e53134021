"""What a node of another implementation can do in our swarm with a certificate, and without one.

All that it says was made by Python, which has the keys; its own libp2p carries it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any

import anyio
import pytest
from foreign_peers import Guest, Ours, is_refused
from libp2p_nodes import until
from structlog.testing import capture_logs
from swarmgate.api import GATEWAY, LLAMA_RPC, NodeId, Replica
from swarmgate.testing import an_offer
from swarmgate.testing.streams import an_echo
from swarmgate_transport_libp2p.child import headers
from swarmgate_transport_libp2p.child.dht import key_of
from swarmgate_transport_libp2p.child.gate import PATIENCE as HELLO_SECONDS
from swarmgate_transport_libp2p.child.gossip import PROTOCOLS
from swarmgate_transport_libp2p.transport import P2pTransport

pytestmark = [pytest.mark.clients, pytest.mark.journey, pytest.mark.swarm, pytest.mark.anyio]

#: What a stranger would like to hear of.
_PROTOCOLS = ("/ipfs/id/1.0.0", "/ipfs/ping/1.0.0", "/ipfs/kad/1.0.0", "/meshsub/1.1.0", "/no/such/thing")
_OURS = (headers.PROTOCOL, *PROTOCOLS.values())


async def test_who_dials_with_a_certificate_is_a_member(ours: Ours, newcomer: Guest) -> None:
    """It is answered with our certificate and told where we are, and counts as connected."""
    shown = await newcomer.meet(ours)
    assert newcomer.member.examine(shown.certificate).id == ours.id
    assert f"{shown.addresses[0]}/p2p/{ours.id}" == ours.address


async def test_who_is_dialled_answers_our_hello(ours: Ours, guest: Guest) -> None:
    """We dial it like any member, and take its answer for what it is."""
    ours.sidecar.know(guest.member.id, guest.peer.addresses)
    await until(lambda: guest.member.id in ours.sidecar.connected)
    (caller, shown) = guest.callers[0]
    assert caller == ours.id == guest.member.examine(shown.certificate).id


async def test_it_hears_what_we_post(ours: Ours, guest: Guest) -> None:
    """An offer of ours reaches it by its own gossipsub, sealed: only Python, which has the token, can read it."""
    await guest.meet(ours)
    await guest.peer.subscribe(ours.topic)
    await hears(guest, ours, f"for {type(guest.peer).__name__}")


async def test_it_hears_us_when_it_comes_straight_back(ours: Ours, guest: Guest) -> None:
    """It hangs up and dials again before we have missed it, ten times; each time it hears what we post then."""
    await guest.meet(ours)
    await guest.peer.subscribe(ours.topic)
    for number in range(10):
        await guest.peer.hang_up(ours.id)
        await guest.meet(ours)
        await hears(guest, ours, f"{type(guest.peer).__name__} again, {number}")


async def hears(guest: Guest, ours: Ours, name: str) -> None:
    """Post an offer of this *name*, and return when the guest's gossipsub has heard it from us, sealed."""
    replica = Replica(guest.member)  # Python reads it, which has the token

    def heard() -> bool:
        while guest.peer.heard:
            topic, data = guest.peer.heard.pop()
            assert topic == ours.topic
            assert name.encode() not in data
            for received, _ in replica.receive(data, 0.0, direct=False).news:
                if received.peer.id == ours.id and received.entry.offer and received.entry.offer.name == name:
                    return True
        return False

    for sequence in range(1, 20):  # as any node renews its offers: who has just subscribed is not told at once
        await ours.ledger.post(an_offer(name, node=ours.id, sequence=sequence))
        with anyio.move_on_after(0.5):
            await until(heard)
            return
    raise AssertionError(f"{name} was not heard")


async def test_what_it_says_is_in_our_book(ours: Ours, guest: Guest) -> None:
    """An offer that Python signed and sealed, and that its gossipsub published, stands in our ledger.

    What is not sealed does not come as far as the ledger, and breaks nothing.
    """
    await guest.meet(ours)
    await guest.peer.subscribe(ours.topic)
    with anyio.fail_after(10.0):
        while ours.id not in await guest.peer.subscribers(ours.topic):  # noqa: ASYNC110  # it has no event of it
            await anyio.sleep(0.05)
    replica, name = Replica(guest.member), f"by {type(guest.peer).__name__}"

    def stands() -> bool:
        return any(offer.node == guest.member.id for offer in ours.ledger.offers(LLAMA_RPC))

    for sequence in range(1, 100):
        offer = an_offer(name, node=guest.member.id, sequence=sequence)
        await guest.peer.publish(ours.topic, b"hello, world")
        await guest.peer.publish(ours.topic, replica.post(offer, monotonic()))
        with anyio.move_on_after(0.5):
            await until(stands)
            break
    assert name in {offer.name for offer in ours.ledger.offers(LLAMA_RPC)}
    assert ours.ledger.counts["unreadable"] == 0


async def test_it_finds_us_in_the_dht(ours: Ours, guest: Guest) -> None:
    """What our node provides under the hour's rendezvous name, its own DHT finds."""
    await guest.meet(ours)
    key = key_of(guest.member.rendezvous_names()[0])
    with anyio.fail_after(30.0):
        while ours.id not in await guest.peer.find(key):  # noqa: ASYNC110  # it has no event of it
            await anyio.sleep(0.2)


async def test_we_find_it_in_the_dht(ours: Ours, guest: Guest) -> None:
    """What its DHT provides, our node has when it looks, both from its own records and by asking."""
    await guest.meet(ours)
    await guest.peer.provide(key_of(guest.member.rendezvous_names()[0]))
    with capture_logs() as logs:
        await guest.peer.hang_up(ours.id)
        await guest.meet(ours)  # our node looks when somebody has come
        await until(lambda: {ours.id, guest.member.id} <= tellers(logs, guest))


def tellers(logs: Sequence[Mapping[str, Any]], guest: Guest) -> set[NodeId]:
    """Return who has told our node that *guest* provides one of the names."""
    return {log["by"] for log in logs if log["event"] == "p2p.dht_found" and log["peer"] == guest.member.id}


async def test_it_reaches_what_we_expose(ours: Ours, guest: Guest) -> None:
    """A tunnel to a service of ours carries its bytes, and their end, both ways; others are refused."""
    await guest.meet(ours)
    async with an_echo() as echo, P2pTransport(ours.sidecar).expose(GATEWAY, echo):
        async with guest.peer.open(ours.id, headers.PROTOCOL) as stream:
            await stream.send(headers.ask(headers.Question("gateway", carries=True)) + b"hello")
            assert await stream.receive_exactly(headers.ANSWER_BYTES) == headers.answer()
            assert await stream.receive_exactly(5) == b"hello"
            await stream.send(bytes(1 << 20))
            assert await stream.receive_exactly(1 << 20) == bytes(1 << 20)
            await stream.send_eof()
            with pytest.raises(anyio.EndOfStream):
                await stream.receive()
        async with guest.peer.open(ours.id, headers.PROTOCOL) as stream:
            await stream.send(headers.ask(headers.Question("nothing", carries=True)))
            head = await stream.receive_exactly(headers.ANSWER_BYTES)
            assert headers.read_answer(head, await stream.receive_exactly(head[1])) == "it does not offer nothing"


async def test_without_a_certificate_it_learns_nothing(ours: Ours, stranger: Guest) -> None:
    """No protocol is answered, no topic and no record told, and the connection is closed when no hello has come."""
    begun = monotonic()
    await stranger.peer.dial(ours.address)
    await stranger.peer.subscribe(ours.topic)
    refused: dict[str, bool] = {}

    async def attempt(protocol: str) -> None:
        refused[protocol] = await is_refused(stranger.peer, ours.id, protocol)

    async with anyio.create_task_group() as tasks:
        for protocol in (*_PROTOCOLS, *_OURS):
            tasks.start_soon(attempt, protocol)
    assert refused == dict.fromkeys((*_PROTOCOLS, *_OURS), True)
    assert HELLO_SECONDS - 1 < monotonic() - begun < HELLO_SECONDS + 4
    await is_alone(stranger)
    assert await stranger.peer.subscribers(ours.topic) == set()
    assert stranger.peer.heard == []
    assert stranger.member.id not in ours.sidecar.connected


async def test_with_another_swarms_certificate_it_is_closed(ours: Ours, stranger: Guest) -> None:
    """Its hello is not answered, and the connection ends at once."""
    await stranger.peer.dial(ours.address)
    with pytest.raises((anyio.IncompleteRead, anyio.EndOfStream, anyio.BrokenResourceError)):
        await stranger.greet(ours.id)
    await is_alone(stranger)


async def is_alone(stranger: Guest) -> None:
    """Return when nobody is connected to *stranger*, soon."""
    with anyio.fail_after(HELLO_SECONDS - 1):
        while await stranger.peer.peers():  # noqa: ASYNC110  # it has no event of it
            await anyio.sleep(0.02)
