from __future__ import annotations

import math

import pytest
from swarmgate.testing import FakeClock
from swarmgate_backend_openai.liveness import Liveness, Look, Waiting, pinged


class Watched:
    """A server whose looks take as long as the test says, and the clock beside it."""

    def __init__(self, *, always: bool = False, silence: float | None = 2.0) -> None:
        self.clock = FakeClock()
        self.liveness = Liveness(silence=silence, clock=self.clock)
        self.liveness.always = always

    def ask(self, count: int = 1) -> list[Waiting]:
        return [self.liveness.begin() for _ in range(count)]

    def look(self, found: Look, *, seconds: float = 0.0) -> tuple[Waiting, ...]:
        """Wait until a look is due, and have it take so many *seconds*."""
        self.clock.advance(self.liveness.due())
        self.liveness.looking()
        self.clock.advance(seconds)
        return self.liveness.looked(found)

    def prove(self, count: int) -> None:
        """Have the server answer a look while it has *count* requests under way, which end thereafter."""
        asked = self.ask(count)
        self.clock.advance(2.0)
        self.look("answered")
        for waiting in asked:
            self.liveness.end(waiting)

    def speak(self, waiting: Waiting) -> None:
        self.liveness.heard(waiting)
        self.liveness.listen(waiting)


def test_nobody_is_looked_at_who_owes_nothing() -> None:
    """Without a request there is no look, nor where looks are not wanted."""
    subject = Watched(always=True)
    assert subject.liveness.due() == math.inf
    (waiting,) = subject.ask()
    assert subject.liveness.due() == 2.0
    subject.liveness.end(waiting)
    assert subject.liveness.due() == math.inf
    unwanted = Watched(silence=None)
    unwanted.ask()
    assert unwanted.liveness.due() == math.inf


def test_a_gateway_that_misses_two_looks_hangs() -> None:
    """The first one makes it suspect, the second one follows at once and ends whatever waits."""
    subject = Watched(always=True)
    asked = subject.ask(3)
    assert subject.look("silent", seconds=3.0) == ()
    assert subject.liveness.suspect
    assert subject.liveness.due() == 0.0
    assert set(subject.look("silent", seconds=3.0)) == set(asked)
    assert subject.clock() == 1008.0


def test_a_look_that_is_answered_forgives_the_one_before() -> None:
    """Two have to fail in a row."""
    subject = Watched(always=True)
    subject.ask()
    subject.look("silent", seconds=3.0)
    assert subject.look("answered") == ()
    assert not subject.liveness.suspect
    assert subject.look("silent", seconds=3.0) == ()


@pytest.mark.parametrize("when", ["during the look", "between two looks"])
def test_bytes_of_any_request_are_as_good_as_an_answered_look(when: str) -> None:
    """Who is too busy to answer looks and writes all the same does not hang."""
    subject = Watched(always=True)
    busy, _ = subject.ask(2)
    subject.look("silent", seconds=3.0)
    if when == "between two looks":
        subject.clock.advance(0.1)
        subject.speak(busy)
        assert not math.isinf(subject.liveness.due())
        assert not subject.liveness.suspect
    subject.clock.advance(subject.liveness.due())
    subject.liveness.looking()
    subject.clock.advance(3.0)
    if when == "during the look":
        subject.speak(busy)
    assert subject.liveness.looked("silent") == ()


def test_another_answer_of_the_server_is_a_sign_too() -> None:
    """Its list of models says that it lives, though not that it answers looks while it works."""
    subject = Watched(always=True)
    subject.ask()
    subject.look("silent", seconds=3.0)
    subject.clock.advance(0.1)
    subject.liveness.alive()
    assert subject.look("silent", seconds=3.0) == ()
    assert subject.liveness.proven == 0


def test_a_stranger_s_silence_says_nothing_at_first() -> None:
    """One that computes and does nothing beside, as some servers do, is left alone however many looks it misses."""
    subject = Watched()
    subject.ask()
    assert [subject.look("silent", seconds=3.0) for _ in range(50)] == [()] * 50
    assert not subject.liveness.suspect


def test_a_stranger_proves_that_it_answers_looks_while_it_works() -> None:
    """From then on silence is evidence; one look is made for the proof, though it is not silent."""
    subject = Watched()
    (waiting,) = subject.ask()
    for _ in range(20):
        subject.clock.advance(0.1)
        subject.speak(waiting)
    assert subject.liveness.due() == pytest.approx(0.0)
    subject.look("answered")
    assert subject.liveness.proven == 1
    subject.clock.advance(0.1)
    subject.speak(waiting)
    assert subject.liveness.due() == 2.0
    subject.look("silent", seconds=3.0)
    assert subject.look("silent", seconds=3.0) == (waiting,)


def test_what_was_proven_with_few_requests_is_not_proven_with_more() -> None:
    """A server with five threads answers looks beside four requests, and cannot beside five, alive as it is."""
    subject = Watched()
    subject.prove(4)
    asked = subject.ask(5)
    assert [subject.look("silent", seconds=3.0) for _ in range(10)] == [()] * 10
    subject.liveness.end(asked[0])
    assert set(subject.look("silent", seconds=3.0)) == set(asked[1:])


def test_requests_that_began_with_the_look_prove_nothing() -> None:
    """The look may have overtaken them."""
    subject = Watched()
    subject.ask()
    subject.clock.advance(2.0)
    subject.ask(3)
    subject.look("answered")
    assert subject.liveness.proven == 1


def test_a_port_that_refuses_needs_no_proof() -> None:
    """Nobody listens there any more, whoever that was; and the next one there has to prove itself anew."""
    subject = Watched()
    subject.prove(1)
    asked = subject.ask(2)
    assert subject.look("refused") == ()
    assert set(subject.look("refused")) == set(asked)
    assert subject.liveness.proven == 0


def test_a_name_that_cannot_be_looked_up_says_nothing() -> None:
    """That is not the server's doing."""
    subject = Watched(always=True)
    subject.ask()
    assert [subject.look("unclear") for _ in range(9)] == [()] * 9
    assert not subject.liveness.suspect


def test_one_that_reads_for_long_is_looked_at_less_and_less_often() -> None:
    """From two seconds up to ten, for as long as it answers; afresh once it has spoken."""
    subject = Watched(always=True)
    (waiting,) = subject.ask()
    pauses: list[float] = []
    for _ in range(9):
        pauses.append(subject.liveness.due())
        assert subject.look("answered") == ()
    assert pauses[:4] == [2.0, 3.0, 4.5, 6.75]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 10.0
    subject.clock.advance(1.0)
    subject.speak(waiting)
    assert subject.liveness.due() == 2.0


def test_a_slow_reader_s_server_is_not_silent() -> None:
    """What lies unread has come; nobody can tell what has not, until somebody listens again."""
    subject = Watched(always=True)
    (waiting,) = subject.ask()
    subject.liveness.heard(waiting)
    subject.clock.advance(60.0)
    assert subject.liveness.due() > 0
    subject.liveness.listen(waiting)
    assert subject.liveness.due() == 2.0


def test_requests_that_came_last_are_given_up_last() -> None:
    """What was sent a moment ago has not been silent for long enough; the next look decides."""
    subject = Watched(always=True)
    (early,) = subject.ask()
    subject.look("silent", seconds=3.0)
    (late,) = subject.ask()
    assert subject.look("silent", seconds=3.0) == (early,)
    subject.liveness.end(early)
    assert subject.look("silent", seconds=3.0) == (late,)
    assert "proven with 0" in repr(subject.liveness)


@pytest.mark.parametrize(
    ("seconds", "pings", "expected"),
    [(None, 0.0, None), (60.0, 0.0, 60.0), (60.0, 15.0, 35.0), (None, 15.0, 35.0), (10.0, 15.0, 10.0)],
)
def test_pings_bound_the_silence_of_a_stream(seconds: float | None, pings: float, expected: float | None) -> None:
    """Two that were missed and some seconds say that no more will come; who has less patience keeps that."""
    assert pinged(seconds, pings) == expected
