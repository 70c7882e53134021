from __future__ import annotations

from itertools import count

import msgspec
from swarmgate.api import GATEWAY, LLAMA_RPC, Entry, Offer, Replica, sign_entry
from swarmgate.testing import a_swarm
from swarmgate_discovery_mdns.notices import Notices
from swarmgate_discovery_mdns.txt import from_txt

ME, OTHER = a_swarm("owner", "owner")
OFFER = Offer(node=ME.id, service=LLAMA_RPC, name="w", addresses=("tls://x@h:1/s",), sequence=1)


def notices(lifetime: float = 120.0) -> Notices:
    names = count()
    return Notices(ME, Replica(ME), lifetime_seconds=lifetime, draw=lambda: f"n{next(names)}")


def test_an_offer_is_announced_once_and_anew_in_time() -> None:
    """Renewals in the ledger make no noise on the network before a third of the announced lifetime has passed."""
    made = notices()
    assert [notice.name for notice in made.take([OFFER], 0.0)] == ["n0"]
    renewed = msgspec.structs.replace(OFFER, sequence=2)
    assert made.take([renewed], 20.0) == []
    assert made.next_renewal() == 40.0
    (again,) = made.take([renewed], 40.0)
    assert (again.name, again.last) == ("n0", False)
    assert made.next_renewal() == 80.0


def test_a_change_does_not_wait() -> None:
    """Other labels or addresses are told at once, under the same name."""
    made = notices()
    made.take([OFFER], 0.0)
    (told,) = made.take([msgspec.structs.replace(OFFER, sequence=2, labels={"a": "b"})], 1.0)
    assert told.name == "n0"


def test_on_another_network_all_is_told_again() -> None:
    """Under the names it has, and by word of nobody's end: who is on both hears of one offer that stands."""
    made, copy = notices(), Replica(OTHER)
    (first,) = made.take([OFFER], 0.0)
    made.forget_told()
    (again,) = made.take([OFFER], 1.0)
    assert (again.name, again.last) == (first.name, False)
    for notice in (first, again):
        copy.receive(from_txt(notice.txt), 1.0, direct=False)
        assert len(copy.standing(1.0)) == 1
    assert made.take([OFFER], 2.0) == []


def test_the_end_is_the_last_word() -> None:
    """It is signed, too; the same offer later has a name of its own."""
    made, copy = notices(), Replica(OTHER)
    (first,) = made.take([OFFER], 0.0)
    copy.receive(from_txt(first.txt), 0.0, direct=False)
    assert len(copy.standing(0.0)) == 1
    (last,) = made.take([], 1.0)
    assert (last.name, last.last) == ("n0", True)
    copy.receive(from_txt(last.txt), 1.0, direct=False)
    assert copy.standing(1.0) == ()
    assert made.next_renewal() is None
    assert [notice.name for notice in made.take([OFFER], 2.0)] == ["n1"]


def test_what_our_role_forbids_is_refused_and_said() -> None:
    """A worker offers no gateway; the reason is kept for whoever logs it."""
    (worker,) = a_swarm("worker")
    made = Notices(worker, Replica(worker), lifetime_seconds=60.0, draw=lambda: "n")
    offer = msgspec.structs.replace(OFFER, node=worker.id, service=GATEWAY)
    assert made.take([offer], 0.0) == []
    assert "may not offer" in made.refused["w"]


def test_too_much_is_refused_and_said() -> None:
    """An offer with more labels than an entry holds is left out, and nothing else with it."""
    made = notices()
    large = msgspec.structs.replace(OFFER, name="large", labels={f"k{n}": "v" * 1000 for n in range(30)})
    assert len(made.take([large, OFFER], 0.0)) == 1
    assert "large" in made.refused


def test_each_revocation_is_announced_once_and_read_by_others() -> None:
    """It has a name of its own; who hears it learns who is out, as an owner signed it."""
    made, copy = notices(), Replica(OTHER)
    entry = sign_entry(ME, Entry(kind="revoke", revoked=OTHER.id))
    (told,) = made.revoked([entry], 0.0)
    assert made.revoked([entry], 1.0) == []
    ((heard, _),) = copy.receive(from_txt(told.txt), 0.0, direct=False).news
    assert (heard.entry.revoked, heard.data) == (OTHER.id, entry)
