from __future__ import annotations

from typing import Any

import pytest
from swarmgate_backend_llamacpp.engine.merging import Contradiction, merge


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ({"type": "string"}, {"maxLength": 3}, {"type": "string", "maxLength": 3}),
        ({"minimum": 1, "maxItems": 5}, {"minimum": 2, "maxItems": 4}, {"minimum": 2, "maxItems": 4}),
        ({"type": ["integer", "null"]}, {"type": ["number", "null"]}, {"type": ["integer", "null"]}),
        ({"type": "number"}, {"type": "integer"}, {"type": ["integer"]}),
        ({"enum": [1, 2, 3]}, {"enum": [3, 2]}, {"enum": [2, 3]}),
        ({"required": ["a"]}, {"required": ["b", "a"]}, {"required": ["a", "b"]}),
        (
            {"properties": {"a": {"minimum": 1}}},
            {"properties": {"a": {"maximum": 2}, "b": True}},
            {"properties": {"a": {"allOf": [{"minimum": 1}, {"maximum": 2}]}, "b": True}},
        ),
        ({"additionalProperties": True}, {"additionalProperties": False}, {"additionalProperties": False}),
        (
            {"additionalProperties": True},
            {"additionalProperties": {"type": "null"}},
            {"additionalProperties": {"type": "null"}},
        ),
        ({"items": {"minimum": 1}}, {"items": {"maximum": 2}}, {"items": {"allOf": [{"minimum": 1}, {"maximum": 2}]}}),
        ({"anyOf": [1]}, {"anyOf": [2]}, {"anyOf": [1], "allOf": [{"anyOf": [2]}]}),
        ({"title": "a"}, {"title": "b"}, {"title": "a"}),
    ],
)
def test_both_are_asked_for(one: dict[str, Any], other: dict[str, Any], both: dict[str, Any]) -> None:
    """The merged schema asks for what both ask for."""
    assert merge(one, other) == both


@pytest.mark.parametrize(
    ("one", "other"),
    [({"type": "string"}, {"type": "null"}), ({"enum": [1]}, {"enum": [2]}), ({"const": 1}, {"const": 2})],
)
def test_contradictions(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Two schemas that no value can obey are refused."""
    with pytest.raises(Contradiction):
        merge(one, other)
