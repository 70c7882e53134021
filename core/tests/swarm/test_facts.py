from __future__ import annotations

import msgspec
import pytest
from swarmgate.errors import ConfigError
from swarmgate.swarm.facts import facts_of
from swarmgate.swarm.keys import public_key
from swarmgate.swarm.membership import invite
from swarmgate.swarm.peerids import peer_id
from swarmgate.swarm.token import Token

TOKEN = Token(bytes(range(32)), ("/ip4/203.0.113.7/tcp/1/p2p/x",))


def test_a_token_and_its_invites_are_of_one_swarm() -> None:
    """An invite has a machine, a role and an end, also once it has ended; another token is another swarm."""
    token = facts_of(TOKEN)
    assert (token.kind, token.role, token.peer, token.until) == ("token", "owner", None, None)
    told = facts_of(invite(TOKEN, "viewer", days=1, key=bytes(32), now=1_600_000_000.0))
    assert (told.kind, told.role, told.until) == ("invite", "viewer", 1_600_086_400.0)
    assert told.peer == peer_id(public_key(bytes(32)))
    assert told.swarm == token.swarm
    assert told.bootstrap == token.bootstrap == TOKEN.bootstrap
    assert facts_of(Token.make()).swarm != token.swarm


def test_no_secret_is_told() -> None:
    """Not the token's, and none that is derived from it."""
    ticket = invite(TOKEN, "worker", days=1, key=bytes([5]) * 32, now=1_600_000_000.0)
    told = msgspec.json.encode([facts_of(TOKEN), facts_of(ticket)]).decode() + repr(facts_of(ticket))
    for secret in (TOKEN.text, ticket.text, *(key.hex() for key in TOKEN.secrets), ticket.key.hex()):
        assert secret not in told


def test_an_invite_that_does_not_fit_together_is_refused() -> None:
    """As it would be by whoever joined by it."""
    ticket = invite(TOKEN, "worker", days=1, key=bytes(32), now=1_600_000_000.0)
    for wrong in ({"certificate": b"x"}, {"authority": b"x"}, {"authority": ticket.certificate}):
        with pytest.raises(ConfigError, match="the invite cannot be used"):
            facts_of(msgspec.structs.replace(ticket, **wrong))
