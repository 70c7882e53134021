from __future__ import annotations

from swarmgate_transport_libp2p.child.mended.limits import Limits
from swarmgate_transport_libp2p.child.mended.liveness import Duty, Liveness


def _run(
    liveness: Liveness, until: float, *, now: float = 0.0, answer: float | None = None
) -> tuple[list[float], float]:
    """Look as often as told; return when pings were sent and when it was over, or *until*."""
    pings: list[float] = []
    while now < until:
        duty, pause = liveness.look(now)
        if duty is Duty.BURY:
            return pings, now
        if duty is Duty.PING:
            pings.append(now)
            if answer is not None:
                liveness.heard(now + answer)
                liveness.answered(liveness.number, now + answer)
        assert pause > 0
        now += pause
    return pings, until


def test_the_silent_are_buried_within_five_seconds() -> None:
    """With nothing heard at all, three pings are sent, and after four seconds it is over: the swarm's bound is five."""
    pings, over = _run(Liveness(Limits(), 0.0), 60)
    assert over == 4.0
    assert len(pings) >= 3


def test_who_answers_lives() -> None:
    """A peer that answers is pinged when it is quiet, and its round trip is known from the first ping on."""
    liveness = Liveness(Limits(), 0.0)
    pings, over = _run(liveness, 60, answer=0.02)
    assert over == 60
    assert liveness.round_trip is not None
    assert abs(liveness.round_trip - 0.02) < 1e-9
    assert 30 <= len(pings) <= 60


def test_who_is_busy_is_hardly_pinged() -> None:
    """While bytes come all the time, a ping every ten seconds measures the way, and no more."""
    liveness, pings, now = Liveness(Limits(), 0.0), 0, 0.0
    while now < 60:
        liveness.heard(now)
        duty, pause = liveness.look(now)
        if duty is Duty.PING:
            pings += 1
            liveness.answered(liveness.number, now + 0.001)
        now += min(pause, 0.1)
    assert 5 <= pings <= 7


def test_the_answer_to_an_earlier_ping_measures_nothing() -> None:
    """Only the latest ping's answer gives a round trip, lest a late one look quick."""
    liveness = Liveness(Limits(), 0.0)
    liveness.look(0.0)
    first = liveness.number
    assert liveness.look(1.3)[0] is Duty.PING
    liveness.answered(first, 1.4)
    assert liveness.round_trip is None
    liveness.answered(liveness.number, 1.5)
    assert liveness.round_trip is not None
    assert abs(liveness.round_trip - 0.2) < 1e-9


def test_our_own_stall_is_not_the_others_death() -> None:
    """When this process stood still for ten seconds, the other side gets its whole time again, and no more."""
    liveness = Liveness(Limits(), 0.0)
    liveness.look(0.0)
    assert liveness.look(10.0)[0] is not Duty.BURY
    _, over = _run(liveness, 60, now=11.0)
    assert 13.9 <= over <= 15.5


def test_where_nobody_waits_it_is_listened_calmly() -> None:
    """A quarter of the pings, and four times the silence."""
    liveness = Liveness(Limits(), 0.0)
    assert liveness.listen(close=False, now=0.0)
    assert not liveness.listen(close=False, now=0.0)
    pings, over = _run(liveness, 60)
    assert over == liveness.silence == 16.0
    assert len(pings) <= 4


def test_whoever_is_waited_for_has_the_whole_time() -> None:
    """One that was silent for long, as it might, is not dead at the moment when somebody begins to wait."""
    liveness = Liveness(Limits(), 0.0)
    liveness.listen(close=False, now=0.0)
    pings, _ = _run(liveness, 9.0)
    assert liveness.listen(close=True, now=9.5)
    duty, pause = liveness.look(9.5)
    assert duty is not Duty.BURY
    more, over = _run(liveness, 60, now=9.5 + pause)
    assert over == 13.5
    assert len(pings) <= 2 < len(more) + 1


def test_who_is_late_itself_waits_longer() -> None:
    """Where looks come late, as on a machine where too much runs, others are late as well; in time again, it passes."""
    liveness, now = Liveness(Limits(), 0.0), 0.0
    while now < 5.0:
        duty, pause = liveness.look(now)
        assert duty is not Duty.BURY
        now += pause + 1.0
    assert liveness.silence > 7.0
    liveness.heard(now)
    _, over = _run(liveness, 600, now=now)
    assert now + 4.0 <= over < now + 6.0
