from __future__ import annotations

import pytest
from gbnfreader import GbnfReader
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.api import RequestError
from swarmgate_backend_llamacpp.engine.gbnf import MAX_TEXT, Grammar, charset, either, literal


@given(st.text(max_size=10), st.text(max_size=10))
def test_a_literal_is_itself(text: str, other: str) -> None:
    """Any text can be a literal, quotes, backslashes and control characters included."""
    reader = GbnfReader(Grammar(param="test").text(literal(text)))
    assert reader.accepts(text)
    assert reader.accepts(other) == (text == other)


@given(st.lists(st.tuples(st.characters(), st.characters()).map(sorted), min_size=1, max_size=3), st.characters())
def test_a_set_holds_its_ranges(ranges: list[list[str]], character: str) -> None:
    """A set allows the characters of its ranges and no others, whatever they are."""
    reader = GbnfReader(Grammar(param="test").text(charset((ord(low), ord(high)) for low, high in ranges)))
    assert reader.accepts(character) == any(low <= character <= high for low, high in ranges)


@pytest.mark.parametrize(
    ("low", "high", "good", "bad"),
    [
        (0, None, [0, 1, 9], []),
        (1, None, [1, 9], [0]),
        (3, None, [3, 9], [2]),
        (0, 0, [0], [1]),
        (0, 1, [0, 1], [2]),
        (2, 2, [2], [1, 3]),
        (2, 4, [2, 3, 4], [1, 5]),
        (0, 2500, [0, 999, 1000, 1001, 2000, 2500], [2501]),
        (1500, None, [1500, 1501], [1499]),
        (1999, 3000, [1999, 2000, 2999, 3000], [1998, 3001]),
    ],
)
def test_repetitions(low: int, high: int | None, good: list[int], bad: list[int]) -> None:
    """Repetitions mean what they say, also where llama.cpp would not unroll them in one piece."""
    grammar = Grammar(param="test")
    reader = GbnfReader(grammar.text(grammar.repeat("[a]", low, high)))
    assert [n for n in good if not reader.accepts("a" * n)] == []
    assert [n for n in bad if reader.accepts("a" * n)] == []


def test_equal_rules_are_kept_once() -> None:
    """One body, one rule; like hints get names of their own, and every name is one that GBNF knows."""
    grammar = Grammar(param="test")
    first, again, other = grammar.add("é 1", '"a"'), grammar.add("b", '"a"'), grammar.add("é 1", '"b"')
    assert first == again != other
    reader = GbnfReader(grammar.text(either([first, other, first])))
    assert reader.accepts("a")
    assert reader.accepts("b")


def test_size_is_limited() -> None:
    """A grammar that grows too large is refused, and the field to blame is named."""
    with pytest.raises(RequestError, match="a grammar of more than") as caught:
        Grammar(param="tools").add("big", '"a"' * MAX_TEXT)
    assert caught.value.param == "tools"
