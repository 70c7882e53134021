"""Strings and numbers under a schema's conditions, as grammar expressions.  Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from swarmgate_backend_llamacpp.engine.gbnf import Grammar
from swarmgate_backend_llamacpp.engine.merging import Schema
from swarmgate_backend_llamacpp.engine.numerals import INTEGER, MAX_DIGITS, MAX_PLACES, NUMBER, integer, number
from swarmgate_backend_llamacpp.engine.patterns import PatternError, pattern_rule

_DATE = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
_TIME = r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)"
_BYTE = r"(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_LABEL = r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_HEX4 = "[0-9a-fA-F]{4}"
#: Other formats are annotations, as JSON Schema has it: they are not enforced.
_FORMATS = {
    "date": _DATE,
    "time": _TIME,
    "date-time": f"{_DATE}T{_TIME}",
    "duration": r"P(\d+W|\d+Y(\d+M)?(\d+D)?|\d+M(\d+D)?|\d+D|(\d+D)?T(\d+H(\d+M)?(\d+S)?|\d+M(\d+S)?|\d+S))",
    "uuid": f"{_HEX4}{_HEX4}(-{_HEX4}){{3}}-{_HEX4}{_HEX4}{_HEX4}",
    "ipv4": rf"{_BYTE}(\.{_BYTE}){{3}}",
    "hostname": rf"{_LABEL}(\.{_LABEL})*",
    "email": rf"[\w.+-]{{1,64}}@{_LABEL}(\.{_LABEL})+",
}


def string_rule(schema: Schema, grammar: Grammar, *, strict: bool) -> str:
    """Return the expression for strings of *schema*; unless *strict* a pattern that is not understood is left out.

    Raises:
        ValueError: it cannot be had, and why.

    """
    pattern, form = schema.get("pattern"), schema.get("format")
    bounded = "minLength" in schema or "maxLength" in schema
    if pattern is None and isinstance(form, str) and form in _FORMATS:
        return f'"\\"" {pattern_rule(f"^({_FORMATS[form]})$", grammar)} "\\""'
    if pattern is not None:
        if bounded and strict:
            raise ValueError("'pattern' beside 'minLength' or 'maxLength' is not supported; say it in the pattern")
        try:
            return f'"\\"" {pattern_rule(str(pattern), grammar)} "\\""'
        except PatternError as error:
            if strict:
                raise ValueError(f"the pattern {pattern!r} is not supported: {error}") from None
    low, high = schema.get("minLength", 0), schema.get("maxLength")
    if not all(isinstance(bound, int) and bound >= 0 for bound in (low, 0 if high is None else high)):
        raise ValueError(f"minLength and maxLength should be whole numbers, found {low!r} and {high!r}")
    return f'"\\"" {grammar.repeat(grammar.char(), low, high)} "\\""' if bounded else grammar.string()


def integer_rule(schema: Schema, grammar: Grammar, *, strict: bool) -> str:
    """Return the expression for whole numbers within the bounds of *schema*.

    Raises:
        ValueError: there are none.

    """
    low, high, above, below = _bounds(schema)
    if low is None and high is None:
        return INTEGER
    least = None if low is None else _ceiling(low) + (above and low == _ceiling(low))
    most = None if high is None else -_ceiling(-high) - (below and high == -_ceiling(-high))
    expression = integer(least, most)
    if expression is None:
        raise ValueError(f"there is no integer from {low} to {high} within the bounds")
    return expression


def number_rule(schema: Schema, grammar: Grammar, *, strict: bool) -> str:
    """Return the expression for numbers within the bounds of *schema*.

    Raises:
        ValueError: there are none, or the bounds have too many places.

    """
    low, high, above, below = _bounds(schema)
    if low is None and high is None:
        return NUMBER
    places = max(-int(bound.as_tuple().exponent) for bound in (low, high) if bound is not None)
    if places > MAX_PLACES:
        if strict:
            raise ValueError(f"a bound has {places} decimal places, expected at most {MAX_PLACES}")
        return NUMBER
    expression = number(low, high, above=above, below=below)
    if expression is None:
        raise ValueError(f"there is no number from {low} to {high} within the bounds")
    return expression


def _bounds(schema: Schema) -> tuple[Decimal | None, Decimal | None, bool, bool]:
    """Return the lower and upper bound, and whether each is itself excluded; too far away is none."""
    low, above = _bound(schema, "minimum", "exclusiveMinimum", 1)
    high, below = _bound(schema, "maximum", "exclusiveMaximum", -1)
    return low, high, above, below


def _bound(schema: Schema, plain: str, exclusive: str, sign: int) -> tuple[Decimal | None, bool]:
    given, shut = schema.get(plain), schema.get(exclusive)
    if isinstance(shut, bool):  # draft 4: a switch beside the bound
        bounds = [(_decimal(given, plain), shut)] if given is not None else []
    else:
        bounds = [
            (_decimal(v, key), key == exclusive) for v, key in ((given, plain), (shut, exclusive)) if v is not None
        ]
    bounds = [bound for bound in bounds if abs(bound[0]) < Decimal(10) ** MAX_DIGITS]
    return max(bounds, key=lambda bound: (sign * bound[0], bound[1]), default=(None, False))


def _decimal(value: Any, key: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{key!r} should be a number, found {value!r}")  # noqa: TRY004  # one error for a broken schema
    return Decimal(str(value))


def _ceiling(value: Decimal) -> int:
    return -int(-value // 1) if value % 1 == 0 else int(value // 1) + 1 if value > 0 else int(value)
