from __future__ import annotations

import msgspec
import pytest
from swarmgate.errors import WireError
from swarmgate.nouns import GATEWAY, LLAMA_RPC, NodeId, Offer, Service
from swarmgate.swarm.entries import Entry, Heard, open_entry, sign_entry
from swarmgate.swarm.gossip import Aged, Digest, Spread, read, write
from swarmgate.swarm.membership import Membership
from swarmgate.swarm.replica import MOST_OF_ONE, Received, Replica
from swarmgate.testing import a_swarm

A, B = a_swarm("owner", "owner")
(STRANGER,) = a_swarm("owner")


def offer_of(member: Membership, name: str = "w", *, service: Service = LLAMA_RPC, **fields: object) -> Offer:
    return msgspec.structs.replace(
        Offer(node=member.id, service=service, name=name, addresses=("tls://x",), sequence=1, lifetime=60.0), **fields
    )


def signed(member: Membership, entry: Entry, *, age: float = 0.0) -> bytes:
    """Return a message of *member* with that one entry."""
    return write(member, Spread((Aged(age, sign_entry(member, entry)),)))


def exchange(one: Replica, other: Replica, now: float) -> int:
    """Let *one* heal with *other*; return how many messages that took."""
    queue = [(other, one, one.digest(now))]
    sent = 0
    while queue:
        to, sender, message = queue.pop(0)
        sent += 1
        queue += [(sender, to, reply) for reply in to.receive(message, now, direct=True).replies]
    return sent


def test_what_is_posted_stands_with_all_who_hear() -> None:
    """An offer in a message becomes news once, and is old when it comes again."""
    a, b = Replica(A), Replica(B)
    message = a.post(offer_of(A), 0.0)
    first, again = b.receive(message, 5.0, direct=False), b.receive(message, 6.0, direct=False)
    assert [heard.entry.offer for heard, _ in first.news] == [offer_of(A)]
    assert again == Received()
    assert a.standing(5.0) == b.standing(5.0) == (offer_of(A),)
    assert b.counts == {"old": 1}


def test_an_offer_lapses_everywhere_at_the_same_time() -> None:
    """Its age goes with it: who hears of it late, from somebody else, does not keep it longer."""
    a, b, c = Replica(A), Replica(B), Replica(A)
    b.receive(a.post(offer_of(A, lifetime=60.0), 0.0), 0.0, direct=False)
    exchange(c, b, 40.0)
    assert c.standing(59.9) == (offer_of(A, lifetime=60.0),)
    assert [replica.standing(60.0) for replica in (a, b, c)] == [(), (), ()]


def test_a_replayed_offer_does_not_come_back() -> None:
    """Neither while it is renewed, nor after it lapsed or was withdrawn."""
    a, b = Replica(A), Replica(B)
    old = a.post(offer_of(A), 0.0)
    b.receive(old, 0.0, direct=False)
    b.receive(a.post(offer_of(A, sequence=2, labels={"new": "1"}), 1.0), 1.0, direct=False)
    b.receive(old, 2.0, direct=False)
    assert [offer.labels for offer in b.standing(2.0)] == [{"new": "1"}]
    b.lapse(100.0)
    b.receive(old, 100.0, direct=False)
    assert b.standing(100.0) == ()
    b.receive(a.post(offer_of(A, sequence=3), 101.0), 101.0, direct=False)
    b.receive(a.withdraw(offer_of(A, sequence=3), 102.0), 102.0, direct=False)
    b.receive(old, 103.0, direct=False)
    assert b.standing(103.0) == ()
    assert b.counts["old"] == 3


def test_an_end_that_overtakes_its_offer_holds() -> None:
    """The withdrawal comes first, the offer after it: it does not stand."""
    a, b = Replica(A), Replica(B)
    offered, ended = a.post(offer_of(A), 0.0), a.withdraw(offer_of(A), 1.0)
    b.receive(ended, 2.0, direct=False)
    b.receive(offered, 3.0, direct=False)
    assert b.standing(3.0) == ()


def test_posting_goes_above_an_earlier_life() -> None:
    """A node that lost its count hears its own old offer, and what it posts then still wins."""
    before, now, b = Replica(A), Replica(A), Replica(B)
    b.receive(before.post(offer_of(A, sequence=900, labels={"life": "old"}), 0.0), 0.0, direct=False)
    exchange(now, b, 1.0)
    b.receive(now.post(offer_of(A, sequence=1, labels={"life": "new"}), 2.0), 2.0, direct=False)
    assert [offer.labels["life"] for offer in b.standing(2.0)] == ["new"]


@pytest.mark.parametrize("age", [-1.0, float("nan"), float("inf")])
def test_an_age_that_cannot_be_is_refused(age: float) -> None:
    """Nobody makes an offer stand longer than it says, or for ever."""
    b = Replica(B)
    message = write(A, Spread((Aged(age, sign_entry(A, Entry(kind="offer", offer=offer_of(A)))),)))
    assert b.receive(message, 0.0, direct=False).news == ()
    assert b.counts == {"refused": 1}


def test_what_has_lapsed_under_way_is_dropped() -> None:
    """An entry as old as its lifetime is no news."""
    b = Replica(B)
    entry = Entry(kind="offer", offer=offer_of(A, lifetime=60.0))
    assert b.receive(signed(A, entry, age=60.0), 0.0, direct=False).news == ()
    assert b.counts == {"lapsed": 1}


def test_forged_and_foreign_entries_are_dropped_and_counted() -> None:
    """An entry changed under way, one of another swarm's member inside our seal, and one not sealed by us."""
    b = Replica(B)
    data = sign_entry(A, Entry(kind="offer", offer=offer_of(A)))
    forged = data.replace(b"tls://x", b"tls://y")
    foreign = sign_entry(STRANGER, Entry(kind="offer", offer=offer_of(STRANGER)))
    b.receive(write(A, Spread((Aged(0, forged), Aged(0, foreign)))), 0.0, direct=False)
    b.receive(write(STRANGER, Spread((Aged(0, data),))), 0.0, direct=False)
    assert b.standing(0.0) == ()
    assert b.counts == {"refused": 2, "unreadable": 1}


def test_nobody_speaks_for_another() -> None:
    """Not even an owner can post under another node's id."""
    with pytest.raises(WireError, match="speaks for"):
        Replica(A).post(offer_of(B), 0.0)


def test_one_node_cannot_fill_the_book() -> None:
    """More keys than one may have are dropped and counted; those of others still come in."""
    a, b = Replica(A), Replica(B)
    for number in range(MOST_OF_ONE + 5):
        b.receive(a.post(offer_of(A, f"w{number}"), 0.0), 0.0, direct=False)
    assert len(b.standing(0.0)) == MOST_OF_ONE
    assert b.counts == {"crowded": 5}
    b.post(offer_of(B), 0.0)
    assert len(b.standing(0.0)) == MOST_OF_ONE + 1


def test_healing_brings_both_sides_what_they_lack() -> None:
    """After a partition one exchange of digests makes the books equal; a second one has nothing to say."""
    a, b = Replica(A), Replica(B)
    a.post(offer_of(A, "one"), 0.0)
    a.post(offer_of(A, "two"), 0.0)
    b.post(offer_of(B, "three", service=GATEWAY), 0.0)
    ended = offer_of(A, "two")
    b.receive(a.post(ended, 0.0), 0.0, direct=False)
    a.withdraw(ended, 1.0)
    assert exchange(a, b, 2.0) == 4  # the digest, what a lacks, what b wants, and that
    assert {offer.name for offer in a.standing(2.0)} == {"one", "three"}
    assert a.standing(2.0) == b.standing(2.0)
    assert exchange(a, b, 3.0) == 1


def test_what_was_told_directly_is_spread() -> None:
    """News that a neighbour brought by healing goes to everybody else; news by gossip is there already."""
    a, b = Replica(A), Replica(B)
    message = a.post(offer_of(A), 0.0)
    assert b.receive(message, 0.0, direct=True).spread != ()
    assert Replica(B).receive(message, 0.0, direct=False).spread == ()


def test_what_only_goes_on_is_not_spread() -> None:
    """A renewal that a neighbour brought is left to its owner to tell; a change, an end, and what had lapsed is not."""
    a, b = Replica(A), Replica(B)

    def told(message: bytes, now: float) -> bool:
        received = b.receive(message, now, direct=True)
        assert received.news
        return received.spread != ()

    assert told(a.post(offer_of(A, sequence=1, lifetime=60.0), 0.0), 0.0)
    assert not told(a.post(offer_of(A, sequence=2, lifetime=60.0), 20.0), 20.0)
    assert told(a.post(offer_of(A, sequence=3, lifetime=60.0, addresses=("tls://y",)), 40.0), 40.0)
    assert told(a.post(offer_of(A, sequence=4, lifetime=60.0, addresses=("tls://y",)), 120.0), 120.0)
    assert told(a.withdraw(offer_of(A, sequence=5), 130.0), 130.0)
    assert told(a.post(offer_of(A, sequence=6), 140.0), 140.0)


def test_a_revocation_reaches_who_was_away() -> None:
    """It never lapses, is told by healing, and banishing takes out what its peer said."""
    owner, worker = a_swarm("owner", "worker")
    owners, workers = Replica(owner), Replica(worker)
    owners.receive(workers.post(offer_of(worker), 0.0), 0.0, direct=False)
    entry = sign_entry(owner, Entry(kind="revoke", revoked=worker.id))
    assert owners.enter(entry, 1.0) is not None
    assert owners.enter(entry, 1.0) is None
    late = Replica(a_swarm_member_of(owner))
    exchange(late, owners, 10.0)
    assert late.receive(owners.digest(10.0), 10.0, direct=True).replies == ()
    owner.revocations.add(worker.id)
    assert [offer.node for offer in owners.banish(worker.id)] == [worker.id]
    assert owners.standing(2.0) == ()
    owners.receive(workers.post(offer_of(worker, sequence=5), 3.0), 3.0, direct=False)
    assert owners.counts["refused"] == 1


def test_a_worker_may_revoke_nobody() -> None:
    """Only who holds the token may."""
    owner, worker = a_swarm("owner", "worker")
    with pytest.raises(WireError, match="may revoke nobody"):
        sign_entry(worker, Entry(kind="revoke", revoked=owner.id))


def test_a_digest_of_lies_costs_little() -> None:
    """Who claims to have what nobody has is asked for it, once, and nothing else happens."""
    a = Replica(A)
    a.post(offer_of(A), 0.0)
    lie = write(B, Digest({bytes([number]) * 12: 5 for number in range(200)}))
    replies = a.receive(lie, 0.0, direct=True).replies
    assert len(replies) == 2  # what the liar lacks, and the question
    assert {type(read(B, reply)).__name__ for reply in replies} == {"Spread", "Wants"}
    assert len(a.standing(0.0)) == 1


def test_what_has_lapsed_is_forgotten_in_the_end() -> None:
    """The book and the memory of it do not grow with the past."""
    a, b = Replica(A), Replica(B)
    for number in range(200):
        b.receive(a.post(offer_of(A, f"w{number}", lifetime=1.0), number * 10.0), number * 10.0, direct=False)
    b.lapse(10_000.0)
    assert (b.standing(10_000.0), repr(b)) == ((), "<Replica of 0 entries>")
    assert not b._seen


def a_swarm_member_of(owner: Membership) -> Membership:
    """Return a membership like *owner*'s with revocations of its own."""
    return Membership(owner.key, owner.certificate, owner.authority, owner.rendezvous, owner.sealing)


def test_node_ids_are_those_of_the_swarm() -> None:
    """The fixtures above are what they claim to be."""
    assert A.id != B.id
    assert A.examine(B.certificate).id == B.id
    assert NodeId(A.id).startswith("12D3KooW")


def test_what_stands_is_not_examined_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bytes were found genuine before, and what is older need not be: both count as old, and cost nothing."""
    a, b = Replica(A), Replica(B)
    older = a.post(offer_of(A), 0.0)
    b.receive(older, 0.0, direct=False)
    message = a.post(offer_of(A, sequence=2), 0.0)
    b.receive(message, 0.0, direct=False)
    newer = a.post(offer_of(A, sequence=3), 0.0)
    examined: list[bytes] = []

    def examine(_membership: Membership, data: bytes) -> Heard:
        examined.append(data)
        return open_entry(B, data)

    monkeypatch.setattr("swarmgate.swarm.replica.open_entry", examine)
    b.receive(message, 1.0, direct=False)
    b.receive(older, 1.0, direct=False)
    assert (examined, b.counts["old"]) == ([], 2)
    b.receive(newer, 2.0, direct=False)
    assert len(examined) == 1
