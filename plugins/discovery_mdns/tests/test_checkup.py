from __future__ import annotations

import time

import pytest
from swarmgate.api import Membership, Replica
from swarmgate.testing import a_swarm, an_offer
from swarmgate_discovery_mdns import checkup
from swarmgate_discovery_mdns.checkup import announced, echo
from swarmgate_discovery_mdns.txt import to_txt


def said_by(membership: Membership) -> bytes:
    """What a member would announce."""
    offer = an_offer("shed", node=membership.id)
    return to_txt(Replica(membership).post(offer, time.monotonic()))


def test_what_is_sent_arrives_at_a_second_socket() -> None:
    """On loopback, in a group and at a port of the test's own (RFC 2365: 239.255/16 is local)."""
    found = echo("127.0.0.1", group="239.255.77.1", port=45353)
    assert (found.level, found.about) == ("fine", "interface 127.0.0.1")


def test_an_interface_that_is_not_there_is_named() -> None:
    """An address that is not this machine's has no socket."""
    assert echo("192.0.2.77").code == "multicast.no_socket"


def test_another_swarm_is_named_where_ours_is_silent() -> None:
    """A wrong token shows so: somebody announces, and it is not for us; next to one of ours it is no fault."""
    [us, friend], [stranger] = a_swarm("owner", "worker"), a_swarm("owner")
    [found] = announced([said_by(stranger)], us)
    assert (found.level, found.code) == ("fault", "multicast.other_swarm")
    [found] = announced([said_by(stranger), said_by(friend)], us)
    assert (found.level, found.what) == ("fine", "1 of this swarm heard within 3 s, and 1 of other swarms")
    [found] = announced([b"\x05other"], us)
    assert (found.level, found.what) == ("fine", "none of this swarm heard within 3 s")


def test_silence_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where what was sent does not arrive, it is missed after its time: here it is awaited in another group."""
    opened = checkup._of_ipv4  # pyright: ignore[reportPrivateUsage]  # it is made to misbehave
    monkeypatch.setattr(checkup, "_of_ipv4", lambda address, _, port: opened(address, "239.255.77.3", port))
    found = echo("127.0.0.1", group="239.255.77.2", port=45354, seconds=0.05)
    assert (found.level, found.code) == ("fault", "multicast.not_received")
