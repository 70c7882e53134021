from __future__ import annotations

from swarmgate_transport_tls.child.pulse import MOST_MISSED, TICK_SECONDS, Pulse


def test_silence_is_noticed_in_time() -> None:
    """So many ticks without a word, and the other side is gone: within five seconds of its last word."""
    pulse = Pulse()
    assert [pulse.tick() for _ in range(MOST_MISSED)] == [True] * (MOST_MISSED - 1) + [False]
    assert MOST_MISSED * TICK_SECONDS < 5


def test_a_word_is_a_sign_of_life() -> None:
    """Whatever comes starts the count anew."""
    pulse = Pulse()
    for _ in range(20):
        assert pulse.tick()
        pulse.heard()


def test_a_pong_tells_how_far_away_the_other_side_is() -> None:
    """The time since its ping; one that comes twice, or for another ping, tells nothing."""
    pulse = Pulse()
    first = pulse.ask(10.0)
    assert pulse.answered(first, 10.25)
    assert pulse.rtt_seconds == 0.25
    assert not pulse.answered(first, 11.0)
    second = pulse.ask(12.0)
    assert not pulse.answered(first, 12.5)
    assert not pulse.answered(second + 1, 12.5)
    assert pulse.rtt_seconds == 0.25
    assert pulse.answered(second, 12.5)
    assert pulse.rtt_seconds == 0.5
