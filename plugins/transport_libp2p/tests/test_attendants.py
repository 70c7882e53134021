from __future__ import annotations

from swarmgate.api import NodeId
from swarmgate_transport_libp2p.attendants import Attendants
from swarmgate_transport_libp2p.messages import Channel, Published, Said

ONE, TWO = NodeId("one"), NodeId("two")


class Scribe:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def met(self, peer: NodeId) -> None:
        self.told.append(("met", peer))

    def parted(self, peer: NodeId) -> None:
        self.told.append(("parted", peer))

    def published(self, data: bytes) -> None:
        self.told.append(("published", data))

    def said(self, peer: NodeId, channel: Channel, data: bytes) -> None:
        self.told.append(("said", peer, channel, data))


def test_who_begins_to_attend_is_told_who_is_there() -> None:
    """Nobody has to ask, and nobody is missed."""
    attendants, scribe = Attendants(), Scribe()
    attendants.met(TWO)
    attendants.met(ONE)
    with attendants.attended(scribe):
        attendants.parted(ONE)
    attendants.parted(TWO)
    assert scribe.told == [("met", ONE), ("met", TWO), ("parted", ONE)]


def test_coming_and_going_is_told_once() -> None:
    """Several connections with one peer are one acquaintance."""
    attendants, scribe = Attendants(), Scribe()
    with attendants.attended(scribe):
        assert [attendants.met(ONE), attendants.met(ONE)] == [True, False]
        assert attendants.connected == {ONE}
        assert [attendants.parted(ONE), attendants.parted(ONE)] == [True, False]
    assert scribe.told == [("met", ONE), ("parted", ONE)]


def test_all_hear_what_is_said() -> None:
    """To all and to us alone are two things, and each attendant gets both."""
    attendants, scribes = Attendants(), (Scribe(), Scribe())
    with attendants.attended(scribes[0]), attendants.attended(scribes[1]):
        attendants.heard(Published(b"all"))
        attendants.heard(Said(ONE, "sync", b"us"))
    assert scribes[0].told == scribes[1].told == [("published", b"all"), ("said", ONE, "sync", b"us")]
