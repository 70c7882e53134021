from __future__ import annotations

import pytest
from swarmgate.federating import shown_to
from swarmgate.nouns import GATEWAY
from swarmgate.roster import Member
from swarmgate.swarm.credential import Examiner
from swarmgate.testing import a_swarm, an_offer

US, THEM = a_swarm("node", "node")


def them(address: str = "tls://x", **labels: str) -> Member:
    return Member(offer=an_offer("them", service=GATEWAY, node=THEM.id, labels=labels), address=address)


def test_a_member_s_gateway_is_shown_a_credential_for_its_run() -> None:
    """Which it finds good."""
    shown = shown_to(them(run="r1"), US)
    assert shown is not None
    assert Examiner(THEM, "r1").examine(shown).id == US.id


@pytest.mark.parametrize(
    "member", [None, them(), them("", run="r1"), them("tcp://10.0.0.5:8080", run="r1"), them("nonsense", run="")]
)
def test_nothing_is_shown_where_it_is_not_asked_for_or_others_could_read_it(member: Member | None) -> None:
    """A server on a list has no run; plain TCP is open to everybody on the way."""
    assert shown_to(member, US) is None


def test_who_is_in_no_swarm_has_nothing_to_show() -> None:
    """Keys are for that."""
    assert shown_to(them(run="r1"), None) is None
