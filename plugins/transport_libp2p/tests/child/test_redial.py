from __future__ import annotations

import random
from collections import deque

from swarmgate_transport_libp2p.child.redial import (
    DEGREE,
    FEW,
    FIRST,
    FORGOTTEN,
    LONGEST,
    LONGEST_WANTED,
    LOOKED_IN,
    MOST,
    MOST_HELD,
    SETTLED,
    Redial,
)

AT = "/ip4/10.0.0.5/tcp/1"


def known(*peers: str) -> Redial:
    redial = Redial()
    for peer in peers:
        redial.know(peer, [AT], 0.0)
    return redial


def fail_for(redial: Redial, peer: str, attempts: int) -> list[float]:
    """Return the pauses between so many attempts that fail."""
    now, pauses = 0.0, list[float]()
    for _ in range(attempts):
        assert redial.due(now) == [peer]
        redial.failed(peer, now)
        pauses.append(redial.until_due(now))
        now += pauses[-1]
    return pauses


def test_who_is_known_is_dialled_once() -> None:
    """Who is being dialled is not dialled at the same time again."""
    redial = known("a", "b")
    assert redial.due(0.0) == ["a", "b"]
    assert redial.due(0.0) == []
    assert redial.until_due(0.0) == LONGEST


def test_pauses_double_up_to_the_longest() -> None:
    """Who does not answer is left alone for longer each time."""
    pauses = fail_for(known("a"), "a", 10)
    assert pauses[:3] == [FIRST, 2 * FIRST, 4 * FIRST]
    assert pauses[-1] == LONGEST


def test_who_is_waited_for_is_dialled_more_often() -> None:
    """A path that is held keeps the pauses short, and one that is left does not."""
    redial = known("a")
    redial.want("a", 1, 0.0)
    assert max(fail_for(redial, "a", 10)) == LONGEST_WANTED
    redial.unwant("a", 1)
    redial.know("a", ["/ip4/10.0.0.6/tcp/1"], 0.0)
    assert max(fail_for(redial, "a", 10)) == LONGEST


def test_who_did_not_answer_rests() -> None:
    """Until its pause is over, or it is connected after all, it is not to be tried by anybody."""
    redial = known("a")
    assert not redial.rests("a", 0.0)
    fail_for(redial, "a", 3)
    assert redial.rests("a", 3.0)
    assert not redial.rests("a", 100.0)
    redial.met("a", AT, 3.0)
    assert not redial.rests("a", 3.0)
    assert not redial.rests("nobody", 3.0)


def test_wanting_dials_at_once() -> None:
    """However long the pause is, whoever is asked for now is dialled now."""
    redial = known("a")
    fail_for(redial, "a", 8)
    redial.want("a", 1, 1000.0)
    assert redial.due(1000.0) == ["a"]


def test_a_new_address_is_tried_at_once() -> None:
    """What is heard of a peer that did not answer may be better, and comes first."""
    redial = known("a")
    fail_for(redial, "a", 8)
    redial.know("a", ["/ip4/10.0.0.6/tcp/1"], 1.0)
    assert redial.due(1.0) == ["a"]
    assert redial.addresses("a") == ("/ip4/10.0.0.6/tcp/1", AT)
    redial.failed("a", 1.0)
    redial.know("a", [AT], 1.0)
    assert redial.due(1.0) == []


def test_who_is_connected_is_left_alone_until_parted() -> None:
    """A connection that works is not doubled; one that is lost is made again at once."""
    redial = known("a")
    redial.due(0.0)
    redial.met("a", AT, 1.0)
    assert redial.due(100.0) == []
    redial.parted("a", 100.0)
    assert redial.due(100.0) == ["a"]


def test_the_address_that_worked_comes_first() -> None:
    """The next dial begins with it."""
    redial = known("a")
    redial.know("a", ["/ip4/10.0.0.6/tcp/1"], 0.0)
    redial.met("a", AT, 1.0)
    assert redial.addresses("a")[0] == AT


def test_the_revoked_are_forgotten() -> None:
    """Nobody dials whom nobody wants to hear."""
    redial = known("a")
    redial.forget("a")
    assert redial.due(0.0) == []
    assert redial.addresses("a") == ()


def test_who_is_away_for_a_day_is_forgotten() -> None:
    """What has gone for good does not cost an attempt a minute for ever."""
    redial = known("a")
    redial.due(0.0)
    redial.failed("a", FORGOTTEN + 1)
    assert redial.addresses("a") == ()


def test_nobody_can_fill_the_book() -> None:
    """Whoever is connected stays, whatever is heard of others."""
    redial = known("a")
    redial.met("a", AT, 0.0)
    for number in range(2 * MOST):
        redial.know(f"b{number}", [AT], 1.0)
    assert redial.addresses("a") == (AT,)
    assert len(redial.due(1.0)) < MOST


def test_who_has_no_address_is_not_dialled() -> None:
    """A peer that dialled us, and is gone, is waited for."""
    redial = Redial()
    redial.met("a", "", 0.0)
    redial.parted("a", 1.0)
    assert redial.due(1.0) == []


def crowd(count: int = 50, *, seed: int = 1) -> Redial:
    """Return a member that knows so many others, of a swarm in which some stand for all."""
    redial = Redial(random.Random(seed))
    redial.bounded = True
    for number in range(count):
        redial.know(f"p{number}", [AT], 0.0)
    return redial


def test_few_are_all_dialled() -> None:
    """A small swarm is a full mesh, and so is one of any size where what is said to all does not get round."""
    assert len(crowd(FEW).due(0.0)) == FEW
    unbounded = crowd(50)
    unbounded.bounded = False
    assert len(unbounded.due(0.0)) == 50


def test_of_many_some_are_dialled() -> None:
    """Neighbours enough, and not one more while they stand; another takes the place of one who does not answer."""
    redial = crowd()
    assert not redial.is_sated
    first = redial.due(0.0)
    assert len(first) == DEGREE
    assert redial.is_sated
    for peer in first[1:]:
        redial.met(peer, AT, 0.1)
    assert redial.due(0.1) == []
    redial.failed(first[0], 0.1)
    (instead,) = redial.due(0.1)
    assert instead not in first[1:]
    redial.met(instead, AT, 0.2)
    redial.parted(instead, 1.0)
    assert len(redial.due(1.0)) == 1


def test_each_draws_others() -> None:
    """Else all of many that begin together would dial the same few."""
    assert crowd(seed=1).due(0.0) != crowd(seed=2).due(0.0)


def test_neighbours_make_one_swarm() -> None:
    """Fifty members that each draw their neighbours reach one another, also when a fifth of them have died."""
    drawn = {f"p{me}": set(crowd(seed=me).due(0.0)) - {f"p{me}"} for me in range(50)}
    alive = {f"p{number}" for number in range(10, 50)}
    reached, waiting = {"p10"}, deque(["p10"])
    while waiting:
        one = waiting.popleft()
        near = {other for other in alive - reached if other in drawn[one] or one in drawn[other]}
        reached |= near
        waiting.extend(near)
    assert reached == alive


def test_whom_we_must_hold_is_dialled_whoever_is_held() -> None:
    """Somebody for whom a path waits, and a relay by which others reach us."""
    redial = crowd()
    held = redial.due(0.0)
    for peer in held:
        redial.met(peer, AT, 0.0)
    wanted, relay = next(peer for number in range(50) if (peer := f"p{number}") not in held), held[0]
    redial.want(wanted, 1, 1.0)
    assert redial.until_due(1.0) == 0.0
    assert redial.due(1.0) == [wanted]
    redial.keep(relay)
    redial.met(wanted, AT, 1.0)
    redial.parted(relay, 2.0)
    assert redial.until_due(2.0) == 0.0
    assert redial.due(2.0) == [relay]


def test_one_after_the_other_is_looked_in_at() -> None:
    """So all others are heard of in time, and halves that lost one another find each other again; without hurry."""
    redial = crowd(FEW + 4)
    for peer in redial.due(0.0):
        redial.met(peer, AT, 0.0)
    now, looked, pauses = 0.0, list[str](), list[float]()
    for _ in range(FEW + 4 - DEGREE):
        pauses.append(redial.until_due(now))
        now += pauses[-1]
        (peer,) = redial.due(now)
        looked.append(peer)
        redial.met(peer, AT, now)
        redial.parted(peer, now)
    assert len(set(looked)) == len(looked)
    assert pauses[0] <= LOOKED_IN
    assert set(map(round, pauses[1:])) == {LOOKED_IN}


def test_who_has_long_been_away_makes_no_crowd() -> None:
    """A small swarm of machines that come and go remains a full mesh of those that are there."""
    redial = crowd(FEW + 10)
    for peer in [f"p{number}" for number in range(10)]:
        for attempt in range(10):
            redial.failed(peer, float(attempt))
    assert len(redial.due(0.0)) == FEW


def test_those_too_many_may_go() -> None:
    """Not who is in use, has only just come, or must be held; and never below what is worth holding."""
    redial = crowd()
    peers = [f"p{number}" for number in range(MOST_HELD + 6)]
    for peer in peers[:-1]:
        redial.met(peer, "", 0.0)
    redial.met(peers[-1], "", SETTLED)
    redial.want(peers[0], 1, 0.0)
    redial.keep(peers[1])
    assert redial.surplus(SETTLED - 1, lambda _: True) == []
    gone = redial.surplus(SETTLED, lambda peer: peer != peers[2])
    assert len(gone) == 6
    assert not {peers[0], peers[1], peers[2], peers[-1]} & set(gone)
    for peer in gone:
        redial.parted(peer, SETTLED)
    assert redial.surplus(SETTLED, lambda _: True) == []
    assert not set(gone) & set(redial.due(SETTLED)[1:])


def test_of_few_nobody_has_to_go() -> None:
    """And nobody where not all hear what is said to all."""
    redial = crowd(MOST_HELD + 6)
    for number in range(MOST_HELD + 6):
        redial.met(f"p{number}", "", 0.0)
    redial.bounded = False
    assert redial.surplus(100.0, lambda _: True) == []
