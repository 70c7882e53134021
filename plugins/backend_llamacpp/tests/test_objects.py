from __future__ import annotations

import itertools
import json

import pytest
from gbnfreader import GbnfReader
from hypothesis import assume, given
from hypothesis import strategies as st
from swarmgate_backend_llamacpp.engine.gbnf import Grammar
from swarmgate_backend_llamacpp.engine.objects import Member, array, closed_object, open_key


@given(st.lists(st.booleans(), max_size=5), st.booleans())
def test_members_in_order(required: list[bool], more: bool) -> None:
    """Exactly the choices of members that hold the required ones are allowed, in their order, then any others."""
    grammar = Grammar(param="test")
    members = [Member(f'"{n}"', must) for n, must in enumerate(required)]
    reader = GbnfReader(grammar.text(closed_object(grammar, members, '"x"' if more else None)))
    for chosen in itertools.product([False, True], repeat=len(required)):
        inside = [str(n) for n, there in enumerate(chosen) if there]
        obeys = all(there or not must for there, must in zip(chosen, required, strict=True))
        assert reader.accepts(f"{{{','.join(inside)}}}") == obeys
        assert reader.accepts(f"{{{', '.join([*inside, 'x', 'x'])}}}") == (obeys and more)


@given(st.lists(st.text('ab"\\\n\x01é', max_size=3), max_size=4), st.text('ab"\\\n\x01éu0', max_size=4))
def test_other_keys(taken: list[str], key: str) -> None:
    """Every key but those taken can be written, however it needs to be escaped."""
    grammar = Grammar(param="test")
    reader = GbnfReader(grammar.text(open_key(grammar, taken)))
    # Keys with such characters share the beginning of their escape: others that need it are forbidden with them.
    assume("\x01" not in key or not any("\x01" in other for other in taken))
    assert reader.accepts(json.dumps(key, ensure_ascii=False)) == (key not in taken)


@pytest.mark.parametrize(
    ("first", "rest", "low", "high", "good", "bad"),
    [
        ([], "x", 0, None, ["[]", "[x]", "[x, x]"], ["[x,]"]),
        ([], "x", 1, 2, ["[x]", "[x,x]"], ["[]", "[x,x,x]"]),
        (["a", "b"], None, 0, None, ["[a,b]"], ["[a]", "[a,b,x]"]),
        (["a"], "x", 2, 3, ["[a,x]", "[a,x,x]"], ["[a]", "[a,x,x,x]"]),
        ([], None, 0, None, ["[]"], ["[x]"]),
    ],
)
def test_arrays(
    first: list[str], rest: str | None, low: int, high: int | None, good: list[str], bad: list[str]
) -> None:
    """Arrays have their first items, then others, as many as asked for."""
    grammar = Grammar(param="test")
    quoted = None if rest is None else f'"{rest}"'
    reader = GbnfReader(grammar.text(array(grammar, [f'"{item}"' for item in first], quoted, low, high)))
    assert [text for text in good if not reader.accepts(text)] == []
    assert [text for text in bad if reader.accepts(text)] == []
