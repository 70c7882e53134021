from __future__ import annotations

from swarmgate_transport_libp2p.child.redial import FIRST, FORGOTTEN, LONGEST, LONGEST_WANTED, MOST, Redial

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
