from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.errors import WireError
from swarmgate.nouns import NodeId
from swarmgate.swarm.entries import LARGEST as LARGEST_ENTRY
from swarmgate.swarm.entries import Entry
from swarmgate.swarm.gossip import (
    LARGEST,
    LARGEST_SPREAD,
    Aged,
    Digest,
    Spread,
    Wants,
    mark,
    parcels,
    read,
    version,
    write,
)
from swarmgate.testing import a_swarm, an_offer

ME, OTHER = a_swarm("owner", "owner")
(STRANGER,) = a_swarm("owner")

MESSAGES = st.one_of(
    st.builds(Spread, st.lists(st.builds(Aged, st.floats(0, 600), st.binary(max_size=99)), max_size=9).map(tuple)),
    st.builds(Digest, st.dictionaries(st.binary(min_size=12, max_size=12), st.integers(0, 2**63), max_size=9)),
    st.builds(Wants, st.lists(st.binary(min_size=12, max_size=12), max_size=9).map(tuple)),
)


@given(message=MESSAGES)
def test_a_member_reads_what_a_member_wrote(message: Spread | Digest | Wants) -> None:
    """Sealed by one and read by another, a message is the same."""
    assert read(OTHER, write(ME, message)) == message


def test_a_stranger_reads_nothing() -> None:
    """A message of one swarm is not readable in another, nor has it anything of itself in the clear."""
    said = write(ME, Spread((Aged(0.0, b"what was offered"),)))
    assert b"offered" not in said
    with pytest.raises(WireError, match="not of this swarm"):
        read(STRANGER, said)


@given(data=st.binary(max_size=200))
def test_garbage_is_a_wire_error(data: bytes) -> None:
    """Whatever comes raises that and nothing else; also what a member sealed that is no message."""
    with pytest.raises(WireError):
        read(ME, data)
    with pytest.raises(WireError):
        read(ME, OTHER.seal(b"\xc1" + data, purpose=b"gossip"))


def test_a_message_of_another_purpose_is_not_read() -> None:
    """What a member sealed for something else cannot be played here."""
    body = msgspec.msgpack.encode(Wants(()))
    assert read(ME, OTHER.seal(body, purpose=b"gossip")) == Wants(())
    with pytest.raises(WireError):
        read(ME, OTHER.seal(body, purpose=b"mdns"))


def test_an_oversized_message_is_not_even_opened() -> None:
    """The limit is looked at first."""
    with pytest.raises(WireError, match="expected no more than"):
        read(ME, bytes(LARGEST + 1))


@given(sizes=st.lists(st.integers(1, LARGEST_ENTRY), max_size=60))
def test_parcels_carry_everything_and_fit(sizes: list[int]) -> None:
    """Nothing is lost, the order stays, and no sealed parcel is larger than pubsub carries."""
    entries = [Aged(1e9, bytes(size)) for size in sizes]
    sent = list(parcels(entries))
    assert [aged for parcel in sent for aged in parcel.entries] == entries
    assert all(len(write(ME, parcel)) <= LARGEST_SPREAD for parcel in sent)


def test_the_end_of_an_offer_is_newer_than_the_offer() -> None:
    """Of one sequence; the offer after it is newer still."""
    offer = an_offer(sequence=7)
    after = an_offer(sequence=8)
    versions = [version(Entry(kind="offer", offer=offer)), version(Entry(kind="end", offer=offer))]
    assert versions == sorted(versions)
    assert versions[1] < version(Entry(kind="offer", offer=after))


def test_marks_tell_keys_apart_and_not_versions() -> None:
    """An offer, its end and its renewal have one mark; another name, or a revocation, has another."""
    offer, renewed, other = an_offer("a", sequence=1), an_offer("a", sequence=2), an_offer("b")
    same = {mark(Entry(kind="offer", offer=each)) for each in (offer, renewed)} | {mark(Entry(kind="end", offer=offer))}
    assert len(same) == 1
    assert mark(Entry(kind="offer", offer=other)) not in same
    assert mark(Entry(kind="revoke", revoked=NodeId("x"))) != mark(Entry(kind="revoke", revoked=NodeId("y")))
