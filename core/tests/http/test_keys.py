from __future__ import annotations

import pytest
from swarmgate.errors import Unauthorized
from swarmgate.http.keys import Keyring
from swarmgate.swarm.credential import Examiner, credential
from swarmgate.swarm.membership import Membership
from swarmgate.testing import a_swarm


@pytest.mark.parametrize("authorization", ["Bearer one", "bearer two", "BEARER  two "])
def test_any_of_the_keys_lets_in(authorization: str) -> None:
    """Each key is good, and the scheme's case does not matter."""
    Keyring(("one", "two")).check(authorization)


@pytest.mark.parametrize(
    "authorization", ["", "one", "Bearer", "Bearer ", "Bearer three", "Basic one", "Bearer onex", "Bearer \u20ac"]
)
def test_anything_else_does_not(authorization: str) -> None:
    """No key, a wrong one, and other schemes are refused."""
    with pytest.raises(Unauthorized):
        Keyring(("one", "two")).check(authorization)


def test_without_keys_everybody_may_in() -> None:
    """With no keys configured any value is accepted, and none."""
    Keyring(()).check("")
    Keyring(()).check("Bearer sk-whatever")


GATEWAY, GUEST, LENDER = a_swarm("node", "viewer", "worker")
TUNNEL = 40001


def members(*keys: str) -> Keyring:
    return Keyring(keys, tunnels=frozenset({TUNNEL}), examiner=Examiner(GATEWAY, "r1"))


def bearer(member: Membership, run: str = "r1") -> str:
    return f"Bearer {credential(member, GATEWAY.id, run)}"


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/a/b", "/v1/chat/completions", "/tokenize"])
@pytest.mark.parametrize("keys", [(), ("k",)])
def test_members_may_ask_models(path: str, keys: tuple[str, ...]) -> None:
    """Those who come through the swarm and show who they are, whether others need a key or not."""
    members(*keys).check(bearer(GUEST), path=path, port=TUNNEL)


@pytest.mark.parametrize("path", ["", "/", "/v1/swarm", "/v1/swarm/drain", "/p2p/token", "/metrics", "/v1/requests/x"])
def test_members_may_do_nothing_else(path: str) -> None:
    """Looking after the gateway takes one of its keys."""
    with pytest.raises(Unauthorized, match="may ask models as a member, and nothing else"):
        members("k").check(bearer(GUEST), path=path, port=TUNNEL)
    members("k").check("Bearer k", path=path, port=TUNNEL)


@pytest.mark.parametrize("authorization", ["", "Bearer x", "Bearer sgm_x", bearer(LENDER), bearer(GUEST, "r0")])
@pytest.mark.parametrize("keys", [(), ("k",)])
def test_who_comes_through_the_swarm_has_to_show_something(authorization: str, keys: tuple[str, ...]) -> None:
    """Also where there are no keys: it seems to come from this machine, and does not."""
    with pytest.raises(Unauthorized) as caught:
        members(*keys).check(authorization, path="/v1/models", port=TUNNEL)
    assert not authorization or authorization.removeprefix("Bearer ") not in str(caught.value).split()


def test_a_credential_is_worth_nothing_elsewhere() -> None:
    """Who comes by the front door shows a key; without keys that door is open, whatever is shown."""
    with pytest.raises(Unauthorized, match="is not one of this gateway's"):
        members("k").check(bearer(GUEST), path="/v1/models", port=8080)
    members().check(bearer(GUEST), path="/v1/models", port=8080)
    with pytest.raises(Unauthorized):
        Keyring((), tunnels=frozenset({TUNNEL})).check(bearer(GUEST), path="/v1/models", port=TUNNEL)


def test_the_refusal_does_not_show_the_key() -> None:
    """What was sent is not repeated."""
    with pytest.raises(Unauthorized) as found:
        Keyring(("one",)).check("Bearer almost")
    assert "almost" not in str(found.value)
    assert repr(Keyring(("one",))) == "<Keyring of 1>"
