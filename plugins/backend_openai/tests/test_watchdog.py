from __future__ import annotations

import heapq
from collections.abc import Callable

from swarmgate_backend_openai.watchdog import Watchdog


class Clock:
    """Time that passes when it is told to, and calls who asked for it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[tuple[float, int, Call]] = []
        self.made = 0

    def call_at(self, when: float, what: Callable[[], None]) -> Call:
        self.made += 1
        call = Call(what)
        heapq.heappush(self.calls, (when, self.made, call))
        return call

    def pass_until(self, when: float) -> None:
        while self.calls and self.calls[0][0] <= when:
            self.now, _, call = heapq.heappop(self.calls)
            if not call.cancelled:
                call.what()
        self.now = when


class Call:
    def __init__(self, what: Callable[[], None]) -> None:
        self.what = what
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


def a_watchdog() -> tuple[Watchdog, Clock, list[tuple[float, float]]]:
    clock, barks = Clock(), list[tuple[float, float]]()
    dog = Watchdog(lambda seconds: barks.append((clock.now, seconds)), clock=lambda: clock.now, call_at=clock.call_at)
    return dog, clock, barks


def test_it_barks_when_nothing_comes() -> None:
    """After the time given, once."""
    dog, clock, barks = a_watchdog()
    dog.expect(2.0)
    clock.pass_until(1.9)
    assert barks == []
    clock.pass_until(10.0)
    assert barks == [(2.0, 2.0)]


def test_what_comes_in_time_is_only_noted() -> None:
    """A thousand events in time are a few timers, and the silence after the last one is noticed to the moment."""
    dog, clock, barks = a_watchdog()
    for number in range(1000):
        clock.pass_until(number / 100)
        dog.expect(3.0)
        dog.rest()
    dog.expect(3.0)
    assert clock.made <= 5
    clock.pass_until(100.0)
    assert barks == [(9.99 + 3.0, 3.0)]


def test_at_rest_it_is_silent() -> None:
    """Also if it was to bark at that moment."""
    dog, clock, barks = a_watchdog()
    dog.expect(1.0)
    dog.rest()
    clock.pass_until(5.0)
    assert barks == []
    dog.expect(1.0)
    clock.pass_until(7.0)
    assert barks == [(6.0, 1.0)]


def test_it_may_become_less_patient() -> None:
    """A shorter time than the one before counts from now."""
    dog, clock, barks = a_watchdog()
    dog.expect(60.0)
    dog.rest()
    dog.expect(1.0)
    clock.pass_until(2.0)
    assert barks == [(1.0, 1.0)]


def test_stopped_it_holds_no_timer() -> None:
    """Nothing is left behind in the loop."""
    dog, clock, barks = a_watchdog()
    dog.expect(1.0)
    dog.stop()
    assert all(call.cancelled for _, _, call in clock.calls)
    clock.pass_until(5.0)
    assert barks == []
