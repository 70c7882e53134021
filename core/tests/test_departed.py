from __future__ import annotations

from swarmgate.departed import Departed
from swarmgate.nouns import Endpoint, Way
from swarmgate.roster import Member
from swarmgate.testing import an_offer


def test_who_is_gone_is_told_with_the_reason_before() -> None:
    """The way is gone with it, how long ago it was last usable counts on, and what hindered it before is said."""
    departed = Departed()
    member = Member(
        offer=an_offer("w1"),
        standing="left_out",
        reason="nothing answers",
        endpoint=Endpoint("h", 1),
        address="tcp://h:1",
        way=Way(address="tcp://h:1"),
        retry_seconds=3.0,
        seen_seconds=2.0,
    )
    departed.add(member, now=10.0)
    (told,) = departed.members(15.0)
    assert (told.standing, told.endpoint, told.address, told.way, told.retry_seconds) == ("gone", None, "", None, None)
    assert told.seen_seconds == 7.0
    assert told.reason == (
        "is offered no more: it was stopped, or has not renewed its offer; before that: nothing answers"
    )
    assert "1" in repr(departed)


def test_who_never_was_usable_stays_so() -> None:
    """There is no time at which it was last seen."""
    departed = Departed()
    departed.add(Member(offer=an_offer("w1")), now=0.0)
    assert departed.members(9.0)[0].seen_seconds is None


def test_who_is_back_is_not_gone() -> None:
    """Its key stands again; another one's absence stays told."""
    departed = Departed()
    one, other = Member(offer=an_offer("w1")), Member(offer=an_offer("w2"))
    departed.add(one, now=0.0)
    departed.add(other, now=0.0)
    assert [member.offer.name for member in departed.members(1.0, without={one.offer.key})] == ["w2"]
    assert [member.offer.name for member in departed.members(1.0)] == ["w2"]


def test_after_a_while_nobody_is_told() -> None:
    """Ten minutes, and no more than 64 at once, the latest."""
    departed = Departed()
    for number in range(70):
        departed.add(Member(offer=an_offer(f"w{number:02}")), now=float(number))
    assert [member.offer.name for member in departed.members(100.0)] == [f"w{number:02}" for number in range(6, 70)]
    assert departed.members(10_000.0) == ()
