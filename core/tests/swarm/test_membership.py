from __future__ import annotations

import time
from dataclasses import replace

import pytest
from msgspec.structs import replace as replaced
from swarmgate.errors import ConfigError, WireError
from swarmgate.nouns import NodeId
from swarmgate.swarm.certificates import Role, issue
from swarmgate.swarm.keys import public_key
from swarmgate.swarm.membership import Membership, Revocations, invite, join
from swarmgate.swarm.peerids import peer_id
from swarmgate.swarm.token import Token

TOKEN = Token(bytes(32), ("/ip4/203.0.113.7/tcp/4001/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA",))
OWN, GUEST = bytes([1]) * 32, bytes([2]) * 32
DAY = 86_400.0


class Clock:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


def test_who_holds_the_token_is_an_owner_by_its_own_key() -> None:
    """Two of them know one another, find each other under the same names, and know where to look first."""
    one, two = join(TOKEN, OWN), join(TOKEN, GUEST)
    assert (one.id, one.role) == (peer_id(public_key(OWN)), "owner")
    assert one.examine(two.certificate).id == two.id
    assert one.rendezvous_names() == two.rendezvous_names()
    assert one.bootstrap == two.bootstrap == TOKEN.bootstrap
    assert two.unseal(one.seal(b"hello", purpose=b"p"), purpose=b"p") == b"hello"


@pytest.mark.parametrize("role", ["node", "worker", "viewer"])
def test_who_was_invited_has_the_role_of_the_invite(role: Role) -> None:
    """And its key, whatever key the machine has; it has what members share, but nothing to let others in by."""
    owner = join(TOKEN, OWN)
    ticket = invite(TOKEN, role, days=2, key=GUEST, now=time.time())
    guest = join(ticket, OWN)
    assert (guest.id, guest.role) == (peer_id(public_key(GUEST)), role)
    assert owner.examine(guest.certificate).role == role
    assert guest.examine(owner.certificate).role == "owner"
    assert owner.unseal(guest.seal(b"hello", purpose=b"p"), purpose=b"p") == b"hello"
    assert guest.authority_key == owner.authority_key
    secret = TOKEN.secrets.authority
    assert not any(secret in (getattr(ticket, name) or b"") for name in ("key", "certificate", "authority", "sealing"))


def test_an_invite_that_ended_or_was_patched_up_is_refused() -> None:
    """Before anything is done with it."""
    now = time.time()
    good = invite(TOKEN, "worker", days=2, key=GUEST, now=now)
    other = invite(Token(bytes([9]) * 32), "owner", days=2, key=GUEST, now=now)
    with pytest.raises(ConfigError, match=r"the invite cannot be used: the certificate of 12D3KooW\w+ ended"):
        join(invite(TOKEN, "worker", days=1, key=GUEST, now=now - 2 * DAY), OWN)
    with pytest.raises(ConfigError, match="its key is not the one its certificate is about"):
        join(replaced(good, key=OWN), OWN)
    with pytest.raises(ConfigError, match="not of this swarm's authority"):
        join(replaced(good, certificate=other.certificate), OWN)
    for authority in (b"", b"garbage", good.certificate):
        with pytest.raises(ConfigError, match="the invite cannot be used: "):
            join(replaced(good, authority=authority), OWN)


def test_revoking_counts_at_once_and_whoever_listens_hears_of_it() -> None:
    """Also for a certificate that was examined before; each peer once, until one listens no longer."""
    owner, guest = join(TOKEN, OWN), join(TOKEN, GUEST)
    heard: list[NodeId] = []
    stop = owner.revocations.listen(heard.append)
    assert owner.examine(guest.certificate).id == guest.id
    owner.revocations.add(guest.id, b"entry")
    owner.revocations.add(guest.id, b"another")
    assert heard == [guest.id]
    assert guest.id in owner.revocations
    assert owner.revocations.entries == (b"entry",)
    assert (owner.revocations.entry(guest.id), owner.revocations.entry(owner.id)) == (b"entry", b"")
    with pytest.raises(WireError, match=f"{guest.id} is revoked"):
        owner.examine(guest.certificate)
    stop()
    owner.revocations.add(NodeId("x"))
    assert heard == [guest.id]
    assert owner.revocations.peers == {guest.id, "x"}
    assert repr(owner.revocations) == "<Revocations of 2 peers>"
    assert Revocations([NodeId("y")]).entries == ()


def test_what_was_examined_before_still_ends() -> None:
    """A certificate that is remembered is looked at again once it has ended."""
    clock = Clock()
    owner = replace(join(TOKEN, OWN), clock=clock)
    certificate = issue(TOKEN.secrets.authority, public_key(GUEST), "worker", now=clock.now, days=1)
    owner.examine(certificate)
    clock.now += DAY + 1
    with pytest.raises(WireError, match="ended"):
        owner.examine(certificate)


def test_a_busy_swarm_does_not_fill_the_memory() -> None:
    """No more certificates are remembered than a swarm has members; those forgotten are examined anew."""
    clock = Clock()
    owner = replace(join(TOKEN, OWN), clock=clock)
    authority = TOKEN.secrets.authority
    several = [issue(authority, public_key(GUEST), "worker", now=clock.now, days=1) for _ in range(1040)]
    for certificate in several:
        owner.examine(certificate)
    assert len(owner._known) == 1024
    assert owner.examine(several[0]).role == "worker"


def test_no_representation_shows_a_secret() -> None:
    """Nor does an error that quotes the membership."""
    owner = join(TOKEN, OWN)
    assert repr([owner]) == f"[<Membership of {owner.id}>]"
    assert isinstance(owner, Membership)
    assert f"{owner}" == f"<Membership of {owner.id}>"
