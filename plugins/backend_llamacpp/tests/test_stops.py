from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from swarmgate_backend_llamacpp.engine.stops import StopMatcher, overlap

LETTERS = st.text("ab<", max_size=5)


def read(matcher: StopMatcher, pieces: list[str]) -> tuple[str, str | None]:
    said = "".join(matcher.feed(piece)[0] for piece in pieces)
    return said + matcher.flush(), matcher.met


@given(st.lists(LETTERS, max_size=4), st.lists(LETTERS))
def test_cutting_does_not_matter(stops: list[str], pieces: list[str]) -> None:
    """The whole text at once, its pieces and its characters give the same answer."""
    text = "".join(pieces)
    whole = read(StopMatcher(stops), [text])
    assert read(StopMatcher(stops), pieces) == whole
    assert read(StopMatcher(stops), list(text)) == whole


@given(st.lists(LETTERS, max_size=4), st.text("ab<", max_size=30))
def test_text_up_to_the_first_stop(stops: list[str], text: str) -> None:
    """What is said is the text up to the stop, holds no stop, and is everything if there was none."""
    said, met = read(StopMatcher(stops), list(text))
    if met is None:
        assert said == text
    else:
        assert text.startswith(said + met)
    assert not any(stop in said for stop in stops if stop)


@given(st.text("ab<", min_size=1, max_size=5), st.lists(LETTERS))
def test_no_more_than_needed_is_held_back(stop: str, pieces: list[str]) -> None:
    """What is not said yet is the beginning of the stop string, and the longest such ending."""
    matcher, said, text = StopMatcher([stop]), "", ""
    for piece in pieces:
        text += piece
        safe, met = matcher.feed(piece)
        said += safe
        if met is not None:
            return
        assert said + text[len(text) - overlap(text, stop) :] == text


def test_the_stop_complete_first_wins() -> None:
    """Of two possible stops the one that is complete at the earlier character ends the text."""
    matcher = StopMatcher(["abc", "b"])
    assert matcher.feed("xabc") == ("xa", "b")
    assert matcher.feed("more") == ("", "b")
    assert matcher.flush() == ""


def test_of_two_complete_together_the_longer_wins() -> None:
    """A stop that ends in another is taken whole."""
    assert StopMatcher(["b", "ab"]).feed("xxab") == ("xx", "ab")


def test_no_stops() -> None:
    """Without stop strings, and with an empty one, nothing is ever held back."""
    assert StopMatcher([]).feed("<|") == ("<|", None)
    assert StopMatcher([""]).feed("<|") == ("<|", None)
