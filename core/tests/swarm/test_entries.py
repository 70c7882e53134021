from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.errors import WireError
from swarmgate.nouns import GATEWAY, LLAMA_RPC, NodeId, Offer, Service
from swarmgate.swarm.certificates import Role
from swarmgate.swarm.entries import (
    HIGHEST_SEQUENCE,
    LARGEST,
    LONGEST_LIFETIME,
    Entry,
    open_entry,
    sign_entry,
)
from swarmgate.swarm.membership import Membership
from swarmgate.testing import a_swarm, an_offer

OWNER, NODE, WORKER, VIEWER = a_swarm("owner", "node", "worker", "viewer")
(FOREIGNER,) = a_swarm("owner")


def offer_of(member: Membership, **fields: Any) -> Offer:
    fields.setdefault("lifetime", 30.0)
    return an_offer(fields.pop("name", "here"), node=member.id, **fields)


def forge(member: Membership, entry: Entry, **changes: bytes) -> bytes:
    """Return an entry that was signed without anybody judging it; *changes* replace parts of it afterwards."""
    body = msgspec.msgpack.encode(entry)
    parts = {"body": body, "certificate": member.certificate, "signature": member.sign(b"swarmgate entry 1\0" + body)}
    return msgspec.msgpack.encode([*{**parts, **changes}.values()])


def refused(data: bytes) -> str:
    with pytest.raises(WireError) as caught:
        open_entry(OWNER, data)
    return str(caught.value)


@given(
    kind=st.sampled_from(("offer", "end")),
    name=st.text(max_size=40),
    addresses=st.lists(st.text(max_size=40), max_size=6).map(tuple),
    labels=st.dictionaries(st.text(max_size=20), st.text(max_size=40), max_size=6),
    lifetime=st.floats(0.001, LONGEST_LIFETIME),
    sequence=st.integers(0, HIGHEST_SEQUENCE),
)
def test_what_is_said_is_heard(kind: Any, name: str, lifetime: float, **fields: Any) -> None:
    """By every member, with who said it, and the very bytes to pass on."""
    offer = Offer(node=NODE.id, service=GATEWAY, name=name, lifetime=lifetime, **fields)
    data = sign_entry(NODE, Entry(kind=kind, offer=offer))
    for member in (OWNER, WORKER, VIEWER, NODE):
        heard = open_entry(member, data)
        assert (heard.entry.kind, heard.entry.offer, heard.peer.id, heard.data) == (kind, offer, NODE.id, data)


@pytest.mark.parametrize(
    ("member", "able"),
    [(OWNER, "gateway rpc other"), (NODE, "gateway rpc"), (WORKER, "rpc"), (VIEWER, "")],
    ids=["owner", "node", "worker", "viewer"],
)
def test_a_role_offers_what_it_may(member: Membership, able: str) -> None:
    """Signing what others would drop is refused already; and others do drop it."""
    for word, service in (("gateway", GATEWAY), ("rpc", LLAMA_RPC), ("other", Service("other/1"))):
        entry = Entry(kind="offer", offer=offer_of(member, service=service))
        if word in able.split():
            assert open_entry(OWNER, sign_entry(member, entry)).peer.role == member.role
        else:
            with pytest.raises(WireError, match=f"is a {member.role} and may not offer"):
                sign_entry(member, entry)
            assert "may not offer" in refused(forge(member, entry))


def test_only_owners_revoke() -> None:
    """And they have to say whom."""
    entry = Entry(kind="revoke", revoked=WORKER.id)
    assert open_entry(NODE, sign_entry(OWNER, entry)).entry.revoked == WORKER.id
    for member in (NODE, WORKER, VIEWER):
        assert "may revoke nobody" in refused(forge(member, entry))
    assert "may revoke nobody" in refused(forge(OWNER, Entry(kind="revoke")))


def test_nobody_speaks_for_another_or_for_a_swarm_of_its_own() -> None:
    """Neither with its own certificate, nor with one that belongs to somebody else, nor from outside."""
    entry = Entry(kind="offer", offer=offer_of(NODE))
    assert f"speaks for {NODE.id}" in refused(forge(WORKER, entry))
    assert "is not signed by" in refused(forge(WORKER, entry, certificate=NODE.certificate))
    assert "not of this swarm's authority" in refused(forge(FOREIGNER, Entry(kind="offer", offer=offer_of(FOREIGNER))))
    body = msgspec.msgpack.encode(Entry(kind="offer", offer=offer_of(NODE, name="there")))
    assert "is not signed by" in refused(forge(NODE, entry, body=body))
    bare = msgspec.msgpack.encode([body, NODE.certificate, NODE.sign(body)])
    assert "is not signed by" in refused(bare)  # a signature of the same bytes for another purpose


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"lifetime": LONGEST_LIFETIME + 1}, "at most 600 is accepted"),
        ({"lifetime": 0.0}, "stands for 0.0 s"),
        ({"lifetime": math.inf}, "stands for inf s"),
        ({"lifetime": math.nan}, "stands for nan s"),
        ({"sequence": -1}, "has the sequence -1"),
        ({"sequence": HIGHEST_SEQUENCE + 1}, "has the sequence"),
        ({"addresses": ("tcp://a:1",) * 17}, "says too much"),
        ({"labels": {str(number): "" for number in range(65)}}, "says too much"),
        ({"labels": {"x" * 1025: ""}}, "says too much"),
        ({"labels": {"x": "y" * 1025}}, "says too much"),
        ({"name": "n" * 1025}, "says too much"),
    ],
)
def test_an_offer_has_its_bounds(fields: dict[str, Any], reason: str) -> None:
    """Far-off ends and sequences, and great lists, are dropped; nobody signs them by mistake."""
    entry = Entry(kind="offer", offer=offer_of(NODE, **fields))
    assert reason in refused(forge(NODE, entry))
    with pytest.raises(WireError, match=reason):
        sign_entry(NODE, entry)


def test_what_is_too_large_is_not_read() -> None:
    """Nor is a certificate that is; what lacks its offer says so."""
    labels = {str(number): "x" * 300 for number in range(60)}
    assert f"expected no more than {LARGEST}" in refused(
        forge(NODE, Entry(kind="offer", offer=offer_of(NODE, labels=labels)))
    )
    assert "a certificate of 3000 bytes" in refused(forge(NODE, Entry(kind="end"), certificate=bytes(3000)))
    assert "has no offer" in refused(forge(NODE, Entry(kind="end")))


def test_one_changed_bit_is_noticed() -> None:
    """Whichever it is: nobody but the signer can make other bytes of an entry; nor is one that was cut read."""
    whole = sign_entry(NODE, Entry(kind="offer", offer=offer_of(NODE)))
    for at in range(len(whole)):
        for bit in range(8):
            changed = bytearray(whole)
            changed[at] ^= 1 << bit
            refused(bytes(changed))
        refused(whole[:at])
    refused(whole + b"x")


@given(
    data=st.binary(max_size=200)
    | st.tuples(*[st.binary(max_size=99) | st.integers(0, 9)] * 3).map(msgspec.msgpack.encode)
    | st.binary(max_size=99).map(lambda body: msgspec.msgpack.encode([body, NODE.certificate, bytes(64)]))
)
def test_garbage_is_refused(data: bytes) -> None:
    """With the one error that is meant for it."""
    refused(data)


@given(body=st.binary(max_size=99))
def test_garbage_that_a_member_signed_is_refused(body: bytes) -> None:
    """A member may be of another version, or mean harm."""
    sealed = NODE.sign(b"swarmgate entry 1\0" + body)
    refused(msgspec.msgpack.encode([body, NODE.certificate, sealed]))


def test_deep_nests_are_refused() -> None:
    """They do not exhaust the stack."""
    refused(b"\x91" * 8000)
    body = b"\x81\xa5offer" + b"\x91" * 4000
    refused(msgspec.msgpack.encode([body, NODE.certificate, NODE.sign(b"swarmgate entry 1\0" + body)]))


def test_whoever_is_revoked_says_nothing_any_more() -> None:
    """Not even with what it said before."""
    owner, worker = a_swarm("owner", "worker")
    data = sign_entry(worker, Entry(kind="offer", offer=offer_of(worker)))
    assert open_entry(owner, data).peer.id == worker.id
    owner.revocations.add(NodeId(worker.id))
    with pytest.raises(WireError, match="is revoked"):
        open_entry(owner, data)


def test_roles_are_all_judged() -> None:
    """No role was forgotten: each has its own list."""
    from typing import get_args

    from swarmgate.swarm.entries import _MAY_OFFER

    assert set(_MAY_OFFER) == set(get_args(Role))
