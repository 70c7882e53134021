"""From tokens to text: characters, stop strings, parsers."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from swarmgate.api import ToolCallDelta
from swarmgate_backend_llamacpp.engine.answer import AnswerText


def byte_piece(token: int) -> bytes:
    """Return the one byte that *token* stands for."""
    return bytes([token])


def say(answer: AnswerText, data: bytes) -> str:
    """Feed *data* byte by byte until a stop, and return all that was said."""
    said = ""
    for token in data:
        said += answer.feed(token).text
        if answer.stopped:
            break
    return said + answer.finish("stop").text


@given(st.text())
def test_text_comes_out_whole(text: str) -> None:
    """Cut into bytes, every text comes out as it was."""
    data = text.encode("utf-8", "ignore")
    assert say(AnswerText(byte_piece, (), None), data) == data.decode()


def test_half_a_character_waits() -> None:
    """No piece has half a character; what never becomes one is marked at the end."""
    answer = AnswerText(byte_piece, (), None)
    euro = "€".encode()
    assert [answer.feed(byte).text for byte in euro] == ["", "", "€"]
    answer.feed(euro[0])
    assert answer.finish("length").text == "\ufffd"


def test_every_token_is_news() -> None:
    """A delta names its token even when it has no text yet."""
    assert AnswerText(byte_piece, (), None).feed(0xE2).token_ids == (0xE2,)


def test_stops_at_a_stop_string() -> None:
    """The text ends before the stop string, which is never said, however it is cut."""
    answer = AnswerText(byte_piece, ("END", "\n\n"), None)
    assert answer.met == ""
    assert say(answer, b"one END two") == "one "
    assert answer.stopped
    assert answer.met == "END"


def test_what_only_began_like_a_stop_is_said_at_the_end() -> None:
    """Text held back for a stop that never came is not lost."""
    assert say(AnswerText(byte_piece, ("END",), None), b"the EN") == "the EN"


@dataclass
class Said:
    """What the parser below makes of text."""

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()


class Caller:
    """Takes everything for one call."""

    called = True
    complete = False

    def feed(self, text: str) -> Said:
        """Take all text as arguments."""
        return Said(tool_calls=(ToolCallDelta(index=0, arguments=text),))

    def finish(self) -> Said:
        """Say that nothing was held back."""
        return Said(text="!")


def test_a_call_ends_the_answer_as_one() -> None:
    """An answer that made a call and stopped has the finish tool_calls; one cut off keeps its reason."""
    answer = AnswerText(byte_piece, (), Caller())
    assert answer.feed(ord("x")).tool_calls[0].arguments == "x"
    last = answer.finish("stop")
    assert (last.finish, last.text) == ("tool_calls", "!")
    assert AnswerText(byte_piece, (), Caller()).finish("length").finish == "length"


def test_the_one_call_allowed_ends_the_answer() -> None:
    """When the parser has all it may have, the answer is over."""
    caller = Caller()
    answer = AnswerText(byte_piece, (), caller)
    answer.feed(ord("x"))
    assert not answer.stopped
    caller.complete = True
    assert answer.stopped


@given(st.lists(st.binary(min_size=1, max_size=3), max_size=20), st.integers(0, 20))
def test_fed_again_it_goes_on_where_it_was(pieces: list[bytes], cut: int) -> None:
    """Fed silently with the first tokens, a second one says the rest as the first did."""

    def piece(token: int) -> bytes:
        return pieces[token]

    first, second = (AnswerText(piece, ("ab",), None) for _ in range(2))
    said: list[str] = []
    for token in range(len(pieces)):
        if first.stopped:
            break
        said.append(first.feed(token).text)
    cut = min(cut, len(said))
    for token in range(cut):
        second.feed(token)
    again = [second.feed(token).text for token in range(cut, len(said))]
    assert again == said[cut:]
    assert second.finish("stop") == first.finish("stop")
