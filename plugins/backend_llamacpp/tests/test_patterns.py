from __future__ import annotations

import json
import re

import pytest
from gbnfreader import GbnfReader
from hypothesis import given
from hypothesis import strategies as st
from swarmgate_backend_llamacpp.engine.gbnf import Grammar
from swarmgate_backend_llamacpp.engine.patterns import PatternError, pattern_rule


def reader(pattern: str) -> GbnfReader:
    grammar = Grammar(param="test")
    return GbnfReader(grammar.text(pattern_rule(pattern, grammar)))


ATOMS = st.sampled_from(
    ["a", "b", ".", r"\d", r"\w", r"\s", r"\D", "[ab]", "[^ab]", "[a-c_]", r"[\d-]", r"\.", r'"', r"\\", "é"]
)
QUANTIFIERS = st.sampled_from(["", "", "*", "+", "?", "{2}", "{1,2}", "{0,1}", "+?"])
PARTS = st.tuples(ATOMS, QUANTIFIERS).map("".join)
PATTERNS = st.recursive(
    PARTS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.tuples(inner, inner, QUANTIFIERS).map(lambda n: f"({n[0]}|{n[1]}){n[2]}"),
        inner.map(lambda part: f"(?:{part})"),
    ),
    max_leaves=5,
)
TEXTS = st.text('ab1 _.-"\\é\n', max_size=6)


@given(PATTERNS, TEXTS, st.sampled_from(["^(?:%s)$", "^%s", "%s$", "%s"]))
def test_it_finds_what_the_regular_expression_finds(pattern: str, text: str, anchors: str) -> None:
    """The grammar allows exactly the texts in which the pattern is found, as JSON spells them."""
    pattern = anchors % (pattern if anchors == "%s" or "|" not in pattern else f"(?:{pattern})")
    expected = re.search(pattern.removesuffix("$") + r"\Z" * pattern.endswith("$"), text, re.ASCII) is not None
    assert reader(pattern).accepts(json.dumps(text, ensure_ascii=False)[1:-1]) == expected


@given(PATTERNS, st.integers(0, 2**32))
def test_what_it_allows_matches(pattern: str, seed: int) -> None:
    """A text drawn from the grammar is the inside of a JSON string that matches the pattern."""
    text = json.loads(f'"{reader(f"^(?:{pattern})$").example(seed)}"')
    assert re.fullmatch(pattern, text, re.ASCII)


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (r"^\x41\u0042\u{43}$", "ABC", "abc"),
        (r"^(?<year>\d{4})-(?P<month>\d\d)$", "2024-05", "24-05"),
        (r"^a|b$", "axx", "xxa"),
        (r"^[\]\-\b]$", "]", "a"),
        (r"^\/\-$", "/-", "//"),
        (r"^$", "", "a"),
        (r"^(|a)$", "", "b"),
    ],
)
def test_notation(pattern: str, good: str, bad: str) -> None:
    """Escapes, named groups, anchors per alternative and odd classes are understood."""
    read = reader(pattern)
    assert read.accepts(good)
    assert not read.accepts(bad)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(?!a)", "looks ahead or behind"),
        ("(?i)a", "sets flags"),
        (r"(a)\1", "cannot be put into a grammar"),
        (r"\bword", "cannot be put into a grammar"),
        (r"\p{L}", "cannot be put into a grammar"),
        ("(^a)", "is not understood there"),
        ("(a$)", "an anchor inside a group"),
        ("(a", "a group is not closed"),
        ("a)", "is not understood there"),
        ("[a", "not closed"),
        ("[b-a]", "runs backwards"),
        ("*a", "is not understood there"),
        ("a" * 3000, "expected at most 2000"),
        ("(" * 50 + ")" * 50, "more than 40 deep"),
        (r"^\x00$", "a character that cannot be written"),
        ("\\", "cannot be put into a grammar"),
    ],
)
def test_what_is_not_understood_is_said(pattern: str, message: str) -> None:
    """A pattern that a grammar cannot say, or that is broken, is refused with the reason."""
    with pytest.raises(PatternError, match=re.escape(message)):
        reader(pattern)
