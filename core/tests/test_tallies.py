from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.chat import ModelCard
from swarmgate.echo import EchoBackend
from swarmgate.nouns import Demand, Health
from swarmgate.places import Place
from swarmgate.prefixes import BLOCK_TOKENS
from swarmgate.tallies import STALE_SECONDS, Entry, Tallies

BLOCKS = (1, 2, 3, 4)
DEMAND = Demand(model="m", prompt_tokens=100)
SHARED = Demand(model="m", prompt_tokens=600, blocks=BLOCKS)


def place(name: str = "a", **card: object) -> Place:
    facts = {"name": "m", "slots": 2, **card}
    return Place(name, EchoBackend(), ModelCard(**facts), Health(ready=True))  # type: ignore[arg-type]  # facts of the card


def answered(
    tallies: Tallies, where: Place, demand: Demand, *, first: float, tokens: int = 0, rest: float = 0
) -> Entry:
    entry = tallies.begin(where, demand, 0)
    tallies.wrote(entry, 1, first)
    for number in range(tokens):
        tallies.wrote(entry, 1, first + rest * (number + 1) / tokens)
    entry.length = tokens + 1
    tallies.end(entry, first + rest, failed=False)
    return entry


def test_failures_are_remembered_for_a_while() -> None:
    """A share of failures grows with each, shrinks with each success and with time."""
    tallies = Tallies()

    def failures(now: float) -> float:
        return tallies.candidate(place(), now).failures

    assert failures(0) == 0
    shares = list[float]()
    for outcome in (True, True, False):
        tallies.end(tallies.begin(place(), DEMAND, 100), 100, failed=outcome)
        shares.append(failures(100))
    assert 0 < shares[0] < shares[1] < 1
    assert shares[2] < shares[1]
    assert failures(130) == pytest.approx(shares[2] / 2)


def test_what_is_under_way_is_counted() -> None:
    """In flight from begin to end, queued tokens until they are read, writing from then on."""
    tallies = Tallies()
    long = tallies.begin(place(), DEMAND, 0)
    short = tallies.begin(place(), Demand(model="m", prompt_tokens=10), 0)
    tallies.wrote(long, 1, 1)
    tallies.read(long, 2)
    seen = tallies.candidate(place(), 2)
    assert (seen.name, seen.slots, seen.in_flight, seen.writing, seen.queued_tokens) == ("a", 2, 2, 1, 10)
    tallies.end(long, 3, failed=False)
    tallies.end(short, 3, failed=True)
    seen = tallies.candidate(place(), 3)
    assert (seen.in_flight, seen.writing, seen.queued_tokens) == (0, 0, 0)
    assert tallies.in_flight("a") == tallies.in_flight("nobody") == 0


def test_speeds_are_measured() -> None:
    """Prompt tokens over the time to the first piece, and tokens of the answer over the time after it."""
    tallies = Tallies()
    assert tallies.candidate(place(), 0).prefill_rate == 0
    answered(tallies, place(), DEMAND, first=2, tokens=40, rest=4)
    seen = tallies.candidate(place(), 6)
    assert (seen.prefill_rate, seen.decode_rate, seen.rtt) == (50, pytest.approx(10), 0)
    other = tallies.candidate(place(name="n"), 6)
    assert (other.prefill_rate, other.decode_rate) == (0, 0)


def test_what_is_queued_ahead_is_read_too() -> None:
    """A prompt behind another waits for both, and its place is none the slower for it."""
    tallies = Tallies()
    one, two = tallies.begin(place(), DEMAND, 0), tallies.begin(place(), DEMAND, 0)
    tallies.wrote(one, 1, 1)
    tallies.wrote(two, 1, 2)
    assert tallies.candidate(place(), 2).prefill_rate == 100


@pytest.mark.parametrize("resumed", [True, False])
def test_waiting_for_a_slot_is_not_reading(resumed: bool) -> None:
    """No speed is taken from one that found no free slot, nor from one that reads a begun answer, too."""
    tallies = Tallies()
    if not resumed:
        for _ in range(2):
            tallies.begin(place(), DEMAND, 0)
    tallies.wrote(tallies.begin(place(), DEMAND, 0, resumed=resumed), 1, 50)
    assert tallies.candidate(place(), 50).prefill_rate == 0


def test_a_speed_not_seen_for_long_is_unknown_again() -> None:
    """Whoever was slow once gets another chance."""
    tallies = Tallies()
    answered(tallies, place(), DEMAND, first=2, tokens=40, rest=4)
    assert tallies.candidate(place(), STALE_SECONDS).prefill_rate > 0
    seen = tallies.candidate(place(), STALE_SECONDS + 7)
    assert (seen.prefill_rate, seen.decode_rate, seen.rtt) == (0, 0, 0)


def test_a_place_holds_what_it_was_sent() -> None:
    """From the moment it is sent; only the rest of the prompt is to be read, and the measure of its speed."""
    tallies = Tallies()
    answered(tallies, place(), SHARED, first=6)
    assert tallies.candidate(place(), 6).cached_prefix == 0
    assert tallies.candidate(place(), 6, SHARED).cached_prefix == 4 * BLOCK_TOKENS
    assert tallies.candidate(place("b"), 6, SHARED).cached_prefix == 0
    assert tallies.candidate(place(name="n"), 6, SHARED).cached_prefix == 0
    branch = Demand(model="m", prompt_tokens=600, blocks=(1, 2, 8, 9))
    entry = tallies.begin(place(), branch, 7)
    assert entry.tokens == tallies.candidate(place(), 7).queued_tokens == 600 - 2 * BLOCK_TOKENS
    small = Demand(model="m", prompt_tokens=100, blocks=BLOCKS)
    assert tallies.candidate(place(), 7, small).cached_prefix == 100


def test_who_fails_has_lost_its_memory() -> None:
    """A failure forgets what the place held of any prompt."""
    tallies = Tallies()
    answered(tallies, place(), SHARED, first=6)
    tallies.end(tallies.begin(place(), SHARED, 7), 8, failed=True)
    assert tallies.candidate(place(), 8, SHARED).cached_prefix == 0


def test_a_place_holds_no_more_than_its_slots() -> None:
    """The card's context and slots bound what is taken to be held."""
    tallies, small = Tallies(), place(slots=1, context_length=2 * BLOCK_TOKENS)
    answered(tallies, small, SHARED, first=6)
    assert tallies.candidate(small, 6, SHARED).cached_prefix == 2 * BLOCK_TOKENS


def test_answers_are_expected_to_be_as_long_as_the_last() -> None:
    """The mean follows finished answers of the model, wherever they were written."""
    tallies = Tallies()
    assert tallies.expected_tokens("m") == 0
    answered(tallies, place(), DEMAND, first=1, tokens=99, rest=1)
    assert tallies.expected_tokens("m") == 100
    answered(tallies, place("b"), DEMAND, first=1, tokens=199, rest=1)
    assert tallies.expected_tokens("m") == 110
    cut = tallies.begin(place(), DEMAND, 0)
    tallies.wrote(cut, 1, 1)
    tallies.end(cut, 1, failed=False)
    assert tallies.expected_tokens("m") == 110


def test_labels_come_from_the_card() -> None:
    """Before and after the first request."""
    tallies, heavy = Tallies(), place(labels={"weight": "3"})
    assert tallies.candidate(heavy, 0).labels == {"weight": "3"}
    tallies.begin(heavy, DEMAND, 0)
    assert tallies.candidate(heavy, 0).labels == {"weight": "3"}


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.booleans(), st.integers(0, 900)), max_size=20))
def test_counts_come_back_to_nothing(trips: list[tuple[str, bool, bool, int]]) -> None:
    """Whatever was read, failed or held, nothing is in flight and nothing queued once all have ended."""
    tallies = Tallies()
    entries = [
        (tallies.begin(place(name), Demand(model="m", prompt_tokens=tokens, blocks=BLOCKS), 0), read, failed)
        for name, read, failed, tokens in trips
    ]
    for entry, read, failed in entries:
        if read:
            tallies.read(entry, 1)
        tallies.end(entry, 2, failed=failed)
    for name in "abc":
        seen = tallies.candidate(place(name), 3)
        assert (seen.in_flight, seen.writing, seen.queued_tokens) == (0, 0, 0)
    assert repr(tallies) == "<Tallies 0 in flight>"


def test_tokens_in_between_need_no_clock() -> None:
    """The first one and every thirty-second do; the speed comes out the same."""
    tallies = Tallies()
    entry = tallies.begin(place(), DEMAND, 0)
    timed = 0
    for number in range(65):
        if not entry.count(1):
            tallies.wrote(entry, 1, 1.0 + number / 10)
            timed += 1
    assert (timed, entry.written) == (3, 65)
    assert tallies.candidate(place(), 8).decode_rate == pytest.approx(10)


def test_a_place_s_pace_is_known_once_it_has_read() -> None:
    """Tokens a second and the seconds to begin, for the model of the attempt; before that the speed is 0."""
    tallies = Tallies()
    fresh = tallies.begin(place(), DEMAND, 0)
    assert tallies.pace(fresh) == (0.0, 0.0)
    tallies.read(fresh, 2.0)
    rate, start = tallies.pace(tallies.begin(place(), DEMAND, 3))
    assert (rate, start) == (pytest.approx(50.0), pytest.approx(0.0))
    assert tallies.pace(tallies.begin(place(name="other"), DEMAND, 3)) == (0.0, 0.0)


def test_tokens_are_counted_while_they_are_written_and_after() -> None:
    """Those of all answers at a place, begun or over, also of one that failed; of nobody there are none."""
    tallies = Tallies()
    assert tallies.written("a") == 0
    one, two = tallies.begin(place(), DEMAND, 0), tallies.begin(place(), DEMAND, 0)
    tallies.wrote(one, 3, 1)
    tallies.wrote(two, 1, 1)
    assert two.count(2)
    assert tallies.written("a") == 6
    tallies.end(one, 2, failed=True)
    assert tallies.written("a") == 6
    tallies.end(two, 2, failed=False)
    assert (tallies.written("a"), tallies.written("b")) == (6, 0)
