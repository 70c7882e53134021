from __future__ import annotations

from typing import Any

import pytest
from gbnfreader import GbnfReader
from swarmgate_backend_llamacpp.engine.gbnf import Grammar
from swarmgate_backend_llamacpp.engine.scalars import integer_rule, number_rule, string_rule


def reader(rule: Any, schema: dict[str, Any], *, strict: bool = True) -> GbnfReader:
    grammar = Grammar(param="test")
    return GbnfReader(grammar.text(rule(schema, grammar, strict=strict)))


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        ("date", ["2024-02-29"], ["2024-13-01", "24-01-01"]),
        ("time", ["23:59:59Z", "01:02:03.5+01:00"], ["24:00:00Z", "12:00"]),
        ("date-time", ["2024-02-29T23:59:59Z"], ["2024-02-29"]),
        ("duration", ["P1DT2H", "P3W", "PT5M"], ["P", "1D"]),
        ("uuid", ["123e4567-e89b-12d3-a456-426614174000"], ["123e4567"]),
        ("ipv4", ["127.0.0.1", "255.255.255.255"], ["256.0.0.1", "1.2.3"]),
        ("hostname", ["example.org", "a"], ["-a", ""]),
        ("email", ["a.b+c@example.org"], ["a@b", "@example.org"]),
        ("unknown", ["anything"], []),
    ],
)
def test_formats(form: str, good: list[str], bad: list[str]) -> None:
    """The formats of OpenAI's strict mode are enforced, unknown ones are not."""
    read = reader(string_rule, {"format": form})
    assert [text for text in good if not read.accepts(f'"{text}"')] == []
    assert [text for text in bad if read.accepts(f'"{text}"')] == []


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"minimum": 1.5, "exclusiveMaximum": 4}, ["2", "3"], ["1", "4"]),
        ({"exclusiveMinimum": -2}, ["-1", "0", "77"], ["-2"]),
        ({"minimum": 3, "exclusiveMinimum": True}, ["4"], ["3"]),
        ({"maximum": 10.0}, ["10", "-99"], ["11"]),
        ({"minimum": -1e30, "maximum": 1e30}, ["0", "-12345"], ["1.5"]),
    ],
)
def test_integers(schema: dict[str, Any], good: list[str], bad: list[str]) -> None:
    """Bounds of both drafts, fractions and bounds beyond reach are understood."""
    read = reader(integer_rule, schema)
    assert [text for text in good if not read.accepts(text)] == []
    assert [text for text in bad if read.accepts(text)] == []


def test_what_is_too_much_is_left_out_unless_strict() -> None:
    """Conditions that cannot be expressed are refused where strictness is asked for, and dropped elsewhere."""
    for rule, schema, text in (
        (string_rule, {"pattern": "^(?=a)"}, '"b"'),
        (string_rule, {"pattern": "^a$", "maxLength": 3}, '"a"'),
        (number_rule, {"minimum": 1e-15}, "5"),
    ):
        with pytest.raises(ValueError, match=r"not supported|decimal places"):
            reader(rule, schema)
        assert reader(rule, schema, strict=False).accepts(text)
