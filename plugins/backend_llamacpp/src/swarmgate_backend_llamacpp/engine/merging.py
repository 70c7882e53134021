"""One schema that asks for what two ask for: ``allOf``, and keywords beside ``$ref`` and ``anyOf``.  Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Schema = dict[str, Any]


class Contradiction(ValueError):
    """Nothing can obey both schemas, or we cannot say what would."""


def merge(one: Schema, other: Schema) -> Schema:
    """Return the schema that asks for what both ask for.

    Raises:
        Contradiction: no value obeys both.

    """
    merged = dict(one)
    for key, value in other.items():
        if key not in merged or merged[key] == value:
            merged[key] = value
        elif key in _JOINED:
            merged[key] = _JOINED[key](merged[key], value)
        elif key in _PLAIN:
            merged["allOf"] = [*merged.get("allOf", []), {key: value}]
    return merged


def _properties(one: Schema, other: Schema) -> Schema:
    return {**one, **{k: {"allOf": [one[k], v]} if k in one and one[k] != v else v for k, v in other.items()}}


def _types(one: Any, other: Any) -> list[str]:
    left, right = ([kind] if isinstance(kind, str) else list(kind) for kind in (one, other))
    both = [kind for kind in left if kind in right or (kind == "integer" and "number" in right)]
    both += [kind for kind in right if kind == "integer" and "number" in left and kind not in both]
    if not both:
        raise Contradiction(f"nothing is both {one!r} and {other!r}")
    return both


def _values(one: list[Any], other: list[Any]) -> list[Any]:
    both = [value for value in one if value in other]
    if not both:
        raise Contradiction("two enums have no value in common")
    return both


def _both(one: Any, other: Any) -> Any:
    if one is False or other is False:
        return False
    if one is True or other is True:
        return other if one is True else one
    return {"allOf": [one, other]}


def _const(one: Any, other: Any) -> Any:
    raise Contradiction(f"two consts differ: {one!r} and {other!r}")


_JOINED: dict[str, Callable[[Any, Any], Any]] = {
    "properties": _properties,
    "$defs": lambda one, other: {**other, **one},
    "definitions": lambda one, other: {**other, **one},
    "required": lambda one, other: list(dict.fromkeys([*one, *other])),
    "type": _types,
    "enum": _values,
    "const": _const,
    "additionalProperties": _both,
    "items": _both,
    "allOf": lambda one, other: [*one, *other],
    "minimum": max,
    "exclusiveMinimum": max,
    "minLength": max,
    "minItems": max,
    "maximum": min,
    "exclusiveMaximum": min,
    "maxLength": min,
    "maxItems": min,
}
#: Keywords that cannot be joined, so that the second one stays a condition of its own.
_PLAIN = frozenset({"$ref", "anyOf", "oneOf", "pattern", "format", "prefixItems", "not"})
