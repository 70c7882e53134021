from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.chat import FunctionCall, ToolCallDelta
from swarmgate.http.wire.calls import CallsInTurn, WholeCalls, as_object


def piece(index: int, arguments: str = "", *, first: bool = False) -> ToolCallDelta:
    if first:
        return ToolCallDelta(index=index, id=f"c{index}", name=f"f{index}", arguments=arguments)
    return ToolCallDelta(index=index, arguments=arguments)


def test_one_call_passes_as_it_comes() -> None:
    """Nothing of the call whose turn it is is held back."""
    calls = CallsInTurn()
    for each in (piece(0, first=True), piece(0, '{"a"'), piece(0, ":1}")):
        assert list(calls.take([each])) == [each]
    assert list(calls.close()) == []


def test_a_call_begins_when_the_one_before_is_whole() -> None:
    """Pieces of calls that are written at once come one call after the other."""
    calls = CallsInTurn()
    first, second = piece(0, '{"a"', first=True), piece(1, "{", first=True)
    assert list(calls.take([first, second])) == [first]
    rest = piece(0, ":1}")
    assert list(calls.take([rest])) == [rest, second]
    last = piece(1, "}")
    assert list(calls.take([last])) == [last]


def test_what_never_became_whole_comes_at_the_end() -> None:
    """A call that was cut off keeps the others waiting, and loses none of them."""
    calls = CallsInTurn()
    cut, other = piece(0, '{"a"', first=True), piece(1, "{}", first=True)
    assert list(calls.take([cut, other])) == [cut]
    assert list(calls.close()) == [other]


def test_whole_calls_are_given_as_soon_as_they_are_over() -> None:
    """When the next begins, and at the end; a server that repeats the id in every piece makes no more of them."""
    calls = WholeCalls()
    assert list(calls.take([piece(0, '{"a"', first=True)])) == []
    assert list(calls.take([piece(0, ":1}", first=True)])) == []
    assert list(calls.take([piece(1, "{}", first=True)])) == [FunctionCall(id="c0", name="f0", arguments='{"a":1}')]
    assert list(calls.close()) == [FunctionCall(id="c1", name="f1", arguments="{}")]
    assert list(calls.close()) == []


@given(st.permutations([0] * 3 + [1] * 3 + [2] * 3))
def test_no_order_of_pieces_changes_the_calls(order: list[int]) -> None:
    """However the pieces of three calls are mixed, each call is whole."""
    parts = {
        index: iter([piece(index, '{"a"', first=True), piece(index, f":{index}"), piece(index, "}")])
        for index in range(3)
    }
    calls = WholeCalls()
    found = [call for index in order for call in calls.take([next(parts[index])])]
    found += calls.close()
    expected = {FunctionCall(id=f"c{n}", name=f"f{n}", arguments=f'{{"a":{n}}}') for n in range(3)}
    assert (set(found), len(found)) == (expected, 3)


@pytest.mark.parametrize(
    ("arguments", "given"),
    [("", {}), (" ", {}), ('{"a":1}', {"a": 1}), ("[1]", None), ('{"a"', None), ("[" * 9999, None)],
)
def test_arguments_are_an_object_or_none(arguments: str, given: object) -> None:
    """No text at all is an empty object; what is cut off, or something else, is none."""
    assert as_object(arguments) == given
