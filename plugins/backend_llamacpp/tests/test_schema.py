from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from gbnfreader import GbnfReader
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.api import RequestError, ResponseFormat
from swarmgate_backend_llamacpp.engine.schema import SCHEMA_PARAM, grammar_of
from tinygguf import write_llama

Schema = dict[str, Any]


def grammar(schema: Any) -> str:
    return grammar_of(ResponseFormat(kind="json_schema", schema=schema))


def reader(schema: Any) -> GbnfReader:
    return GbnfReader(grammar(schema))


def obeys(schema: Any, value: Any) -> bool:  # noqa: PLR0911  # one return per type
    """A judge of the keywords drawn below, written apart from what it judges."""
    if "anyOf" in schema:
        return any(obeys(choice, value) for choice in schema["anyOf"])
    if "enum" in schema:
        return value in schema["enum"]
    match schema["type"]:
        case "null":
            return value is None
        case "boolean":
            return isinstance(value, bool)
        case "string":
            return isinstance(value, str) and schema["minLength"] <= len(value) <= schema["maxLength"]
        case "integer" | "number" as kind:
            whole = isinstance(value, int) or (kind == "number" and isinstance(value, float))
            return whole and not isinstance(value, bool) and schema["minimum"] <= value <= schema["maximum"]
        case "array":
            fits = isinstance(value, list) and schema["minItems"] <= len(value) <= schema["maxItems"]
            return fits and all(obeys(schema["items"], item) for item in value)
        case _:
            known = schema["properties"]
            if not isinstance(value, dict) or not set(schema["required"]) <= value.keys():
                return False
            more = schema["additionalProperties"]
            return all(
                obeys(known[k], v) if k in known else more is not False and obeys(more, v) for k, v in value.items()
            )


SCALARS = st.one_of(
    st.just({"type": "null"}),
    st.just({"type": "boolean"}),
    st.lists(st.one_of(st.text(max_size=4), st.integers(-99, 99), st.none()), min_size=1, max_size=4).map(
        lambda values: {"enum": values}
    ),
    st.tuples(st.integers(0, 4), st.integers(0, 4)).map(
        lambda n: {"type": "string", "minLength": n[0], "maxLength": n[0] + n[1]}
    ),
    st.tuples(st.integers(-3000, 3000), st.integers(0, 3000)).map(
        lambda n: {"type": "integer", "minimum": n[0], "maximum": n[0] + n[1]}
    ),
    st.tuples(st.integers(-999, 999), st.integers(0, 999), st.sampled_from([1, 2, 4, 8])).map(
        lambda n: {"type": "number", "minimum": n[0] / n[2], "maximum": (n[0] + n[1]) / n[2]}
    ),
)


def nested(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    keys = st.text('ab"\\é\n-', max_size=3)
    objects = st.dictionaries(keys, st.tuples(inner, st.booleans()), max_size=4)
    return st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda choices: {"anyOf": choices}),
        st.tuples(inner, st.integers(0, 2), st.integers(0, 3)).map(
            lambda n: {"type": "array", "items": n[0], "minItems": n[1], "maxItems": n[1] + n[2]}
        ),
        st.tuples(objects, st.one_of(st.just(False), inner)).map(
            lambda n: {
                "type": "object",
                "properties": {key: schema for key, (schema, _) in n[0].items()},
                "required": [key for key, (_, required) in n[0].items() if required],
                "additionalProperties": n[1],
            }
        ),
    )


SCHEMAS = st.recursive(SCALARS, nested, max_leaves=6)


def values(schema: Schema) -> st.SearchStrategy[Any]:  # noqa: PLR0911  # one return per type
    """Values that obey, with their keys in the schema's order."""
    if "anyOf" in schema:
        return st.one_of([values(choice) for choice in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema["type"]:
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "string":
            return st.text(min_size=schema["minLength"], max_size=schema["maxLength"])
        case "integer":
            return st.integers(schema["minimum"], schema["maximum"])
        case "number":
            low, high = schema["minimum"], schema["maximum"]
            return st.floats(low, high).map(lambda x: min(max(round(x, 3), low), high))  # without an exponent
        case "array":
            return st.lists(values(schema["items"]), min_size=schema["minItems"], max_size=schema["maxItems"])
        case _:
            known, required = schema["properties"], schema["required"]
            return st.fixed_dictionaries(
                {key: values(known[key]) for key in known if key in required},
                optional={key: values(known[key]) for key in known if key not in required},
            ).map(lambda drawn: {key: drawn[key] for key in known if key in drawn})


@given(SCHEMAS, st.integers(0, 2**32), st.integers(1, 60))
def test_what_the_grammar_allows_obeys_the_schema(schema: Schema, seed: int, size: int) -> None:
    """Any text drawn from a schema's grammar is JSON, strictly read, and obeys the schema."""
    text = reader(schema).example(seed, size=size)
    value = msgspec.json.decode(text)
    assert obeys(schema, value), text


@given(SCHEMAS.flatmap(lambda schema: st.tuples(st.just(schema), values(schema))))
def test_what_obeys_the_schema_is_allowed(drawn: tuple[Schema, Any]) -> None:
    """A value that obeys can be written, plainly and with room, as long as its keys come in the schema's order."""
    schema, value = drawn
    read = reader(schema)
    assert read.accepts(json.dumps(value, ensure_ascii=False))
    assert read.accepts(json.dumps(value, ensure_ascii=False, indent=2))


NODE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "value": {"type": "integer"},
                "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
            },
            "required": ["value", "next"],
            "additionalProperties": False,
        }
    },
}


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        (True, ["1", '"a"', '{"a": [null, {}]}'], ["", "a", "{a: 1}"]),
        ({}, ["[]", "true"], ["tru"]),
        ({"type": "object"}, ["{}", '{"a":1}'], ["[]"]),
        ({"type": "array"}, ["[]", '[1, "a"]'], ["{}"]),
        (NODE, ['{"value": 1, "next": {"value": 2, "next": null}}'], ['{"value": 1}', '{"value": 1, "next": 2}']),
        ({"$ref": "#/$defs/a~1b%20c", "$defs": {"a/b c": {"const": 1}}}, ["1"], ["2"]),
        ({"properties": {"a": {"$ref": "#"}}}, ["{}", '{"a": {"a": {}}}'], ['{"a": 1}']),
        (
            {
                "$ref": "#/$defs/x/node",
                "$defs": {"x": {"node": {"$ref": "#/$defs/y/node"}}, "y": {"node": {"const": 2}}},
            },
            ["2"],
            ["1"],
        ),
        ({"const": 'a"\\\n☃'}, ['"a\\"\\\\\\n☃"'], ['"a"']),
        ({"enum": [1, "1", None, {"a": [1]}]}, ["1", '"1"', "null", '{"a": [1]}'], ["true"]),
        ({"type": ["string", "null"], "maxLength": 1}, ['"a"', "null"], ['"ab"', "1"]),
        (
            {"type": ["object", "null"], "properties": {"a": {"const": 1}}, "required": ["a"]},
            ['{"a": 1}', "null"],
            ["{}"],
        ),
        ({"type": "string", "nullable": True}, ['""', "null"], ["1"]),
        ({"type": "boolean", "title": "x", "description": "y", "default": True, "x-y": 1}, ["true"], ["1"]),
        (
            {"properties": {"a": {"const": 1}, "b": {"const": 2}, "c": {"const": 3}}, "required": ["b"]},
            ['{"b": 2}', '{"a": 1, "b": 2}', '{"b": 2, "c": 3}', '{"a":1,"b":2,"c":3}'],
            ["{}", '{"a": 1}', '{"b": 2, "a": 1}', '{"b": 2,}', '{, "b": 2}', '{"b": 2, "d": 4}'],
        ),
        (
            {"properties": {"ab": {"const": 1}}, "additionalProperties": {"type": "boolean"}},
            ["{}", '{"ab": 1}', '{"ab": 1, "abc": true}', '{"a": true, "b": false}', '{"": true}'],
            ['{"ab": true}', '{"ab": 1, "c": 2}'],
        ),
        ({"required": ["a"], "additionalProperties": {"const": 1}}, ['{"a": 1}'], ["{}"]),
        ({"properties": {}, "additionalProperties": False, "type": "object"}, ["{}"], ['{"a": 1}']),
        (
            {
                "allOf": [{"$ref": "#/$defs/a"}, {"properties": {"b": {"const": 2}}, "required": ["b"]}],
                "$defs": {"a": {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]}},
            },
            ['{"a": 1, "b": 2}'],
            ['{"a": 1}', '{"b": 2}'],
        ),
        (
            {"allOf": [{"type": "integer", "minimum": 3}, {"type": "number", "maximum": 4, "minimum": 1}]},
            ["3", "4"],
            ["2", "5", "3.5"],
        ),
        (
            {
                "type": "object",
                "properties": {"k": {"const": 1}},
                "anyOf": [{"required": ["k"]}, {"properties": {"z": {"const": 2}}, "required": ["z"]}],
            },
            ['{"k": 1}', '{"k": 1, "z": 2}', '{"z": 2}'],
            ["{}"],
        ),
        ({"prefixItems": [{"const": 1}, {"const": 2}], "items": False}, ["[1, 2]"], ["[1]", "[1, 2, 3]"]),
        (
            {"prefixItems": [{"const": 1}], "items": {"const": 2}, "maxItems": 3},
            ["[1]", "[1, 2, 2]"],
            ["[]", "[1, 2, 2, 2]"],
        ),
        ({"type": "array", "items": {"const": 1}, "minItems": 2}, ["[1,1]", "[1,1,1]"], ["[1]", "[]"]),
        ({"type": "array", "items": {"const": 1}, "maxItems": 0}, ["[]"], ["[1]"]),
        ({"type": "array", "items": {"const": 1}, "maxItems": 1}, ["[]", "[1]"], ["[1, 1]"]),
        (
            {"type": "string", "minLength": 1999, "maxLength": 2001},
            [f'"{"a" * n}"' for n in (1999, 2000, 2001)],
            [f'"{"a" * n}"' for n in (1998, 2002)],
        ),
    ],
)
def test_a_keyword_means_what_it_says(schema: Any, good: list[str], bad: list[str]) -> None:
    """Texts that obey are allowed, others are not."""
    read = reader(schema)
    assert [text for text in good if not read.accepts(text)] == []
    assert [text for text in bad if read.accepts(text)] == []


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (False, "schema at #: no value is allowed here"),
        ({"properties": {"a": 1}}, "schema at #/properties/a: expected an object, found 1"),
        ({"properties": {"a": {"type": "text"}}}, "schema at #/properties/a: type 'text' is none of object, array"),
        ({"$ref": "https://example.org/a.json"}, "schema at #: '$ref' should point into this schema"),
        ({"$ref": "#/$defs/gone"}, "schema at #: '$ref' '#/$defs/gone' points to nothing"),
        ({"$ref": "#"}, "schema at #: '#' leads back to itself without end"),
        ({"anyOf": [{"$ref": "#"}, {"type": "null"}]}, "leads back to itself without end"),
        ({"allOf": [{"$ref": "#"}, {"type": "object"}]}, "or endless"),
        ({"type": "integer", "multipleOf": 3}, "schema at #: 'multipleOf' is not supported; remove it"),
        ({"type": "array", "uniqueItems": True}, "'uniqueItems' is not supported"),
        (
            {"items": {"pattern": "^(?=a)"}},
            "schema at #/items: the pattern '^(?=a)' is not supported: a group that looks",
        ),
        ({"minimum": 4, "maximum": 3, "type": "integer"}, "there is no integer from 4 to 3"),
        ({"exclusiveMinimum": 4, "maximum": 4, "type": "number"}, "there is no number from 4 to 4"),
        ({"minimum": "4"}, "'minimum' should be a number, found '4'"),
        ({"minLength": -1}, "minLength and maxLength should be whole numbers"),
        ({"type": "string", "minLength": 5, "maxLength": 4}, "asks for at least 5 and at most 4"),
        ({"type": "string", "maxLength": 10**7}, "repeats something 10000000 times"),
        ({"type": "array", "minItems": 3, "maxItems": 2}, "no array has both the items and the length"),
        ({"type": "array", "minItems": "a"}, "minItems and maxItems should be whole numbers"),
        ({"enum": []}, "'enum' has 0 values"),
        ({"enum": 1}, "'enum' should be a list, found 1"),
        ({"properties": []}, "'properties' should be an object"),
        ({"anyOf": []}, "'anyOf' should be a list of 1 to"),
        ({"allOf": [{"type": "string"}, {"type": "null"}]}, "nothing is both 'string' and 'null'"),
        ({"required": ["a"], "properties": {}, "additionalProperties": False}, "'a' is required, but neither"),
    ],
)
def test_what_cannot_be_had_is_said_with_its_place(schema: Any, message: str) -> None:
    """A broken or unsupported schema is the request's fault, and the message has the path and the reason."""
    with pytest.raises(RequestError) as caught:
        grammar(schema)
    assert message in str(caught.value)
    assert caught.value.param == SCHEMA_PARAM


def test_depth_is_limited() -> None:
    """A schema nested beyond reason is refused instead of exhausting the stack."""
    schema: Schema = {"type": "null"}
    for _ in range(400):
        schema = {"type": "array", "items": schema}
    with pytest.raises(RequestError, match="more than 64 levels deep"):
        grammar(schema)


def test_size_is_limited() -> None:
    """A schema whose grammar would be huge is refused; many optional properties do not make it so."""
    fine = grammar({"properties": {f"key{n}": {"type": "string"} for n in range(500)}})
    assert len(fine) < 100_000
    with pytest.raises(RequestError, match="a grammar of more than"):
        grammar({"properties": {f"key{n}": {"enum": [f"{n}-{m}" for m in range(1000)]} for n in range(100)}})


def test_free_text_has_no_grammar() -> None:
    """Free text is free; a JSON object is any object."""
    assert grammar_of(ResponseFormat()) == ""
    anything = GbnfReader(grammar_of(ResponseFormat(kind="json_object")))
    assert anything.accepts('{"a": [1.5e3, {"b": "\\u00e9"}], "c": null}')
    assert not anything.accepts("[1]")
    assert not anything.accepts('{"a": "\n"}')
    assert not anything.accepts('{"a": "\\ud800"}')


@pytest.mark.engine
def test_llama_cpp_accepts_the_grammars(tmp_path: Path) -> None:
    """The real judge reads what we write: every grammar above is one to llama.cpp, and a broken one is not."""
    import llama_cpp

    settings = llama_cpp.llama_model_default_params()
    settings.vocab_only = True
    path = write_llama(tmp_path / "tiny.gguf", seed=1)
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), settings)
    vocabulary = llama_cpp.llama_model_get_vocab(model)
    try:
        schemas: list[Any] = [
            {},
            NODE,
            {"type": "string", "maxLength": 99_999},
            {"type": "array", "minItems": 3, "maxItems": 1500},
            {"properties": {'a"\\': {"const": 'b"\\\n'}}, "additionalProperties": {"minimum": -1.5, "maximum": 2}},
            {"pattern": '^[^a-z"]{2,3}(x|\\d)+"?$'},
            {"format": "date-time"},
            {"format": "email"},
        ]
        for text in [*map(grammar, schemas), grammar_of(ResponseFormat(kind="json_object"))]:
            sampler = llama_cpp.llama_sampler_init_grammar(vocabulary, text.encode(), b"root")
            assert sampler, text
            llama_cpp.llama_sampler_free(sampler)
        assert not llama_cpp.llama_sampler_init_grammar(vocabulary, b"root ::= gone", b"root")
    finally:
        llama_cpp.llama_model_free(model)
