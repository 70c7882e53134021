"""JSON schemas to grammars (GBNF) that make a model write what obeys them.  Pure: nothing is ever fetched.

llama-cpp-python brings a converter too; it loads the native library, lets raw control characters into strings, breaks
on quotes in constants, mixes up ``$ref``s that end alike, and forgets the properties of an ``["object", "null"]``.
Hence this one.  Like llama.cpp's it takes an object that lists its properties for closed unless
``additionalProperties`` says otherwise; it writes properties in the schema's order.
"""

from __future__ import annotations

import json  # noqa: TID251  # its spelling of constants: msgspec has no ensure_ascii and refuses odd keys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn, cast
from urllib.parse import unquote

from swarmgate.api import RequestError, ResponseFormat

from swarmgate_backend_llamacpp.engine.gbnf import Grammar, either, literal
from swarmgate_backend_llamacpp.engine.merging import Contradiction, Schema, merge
from swarmgate_backend_llamacpp.engine.objects import Member, array, closed_object, open_key
from swarmgate_backend_llamacpp.engine.scalars import integer_rule, number_rule, string_rule

MAX_DEPTH = 64
MAX_CHOICES = 2000
SCHEMA_PARAM = "response_format.json_schema.schema"

#: Keywords that narrow what is allowed, and that a grammar of ours does not express.
_NARROWING = (
    *("not", "if", "dependentSchemas", "dependentRequired", "dependencies", "patternProperties", "propertyNames"),
    *("minProperties", "maxProperties", "contains", "uniqueItems", "multipleOf", "$dynamicRef", "$recursiveRef"),
    *("unevaluatedItems", "unevaluatedProperties"),
)
_SAYING = frozenset(
    {
        "type",
        "enum",
        "const",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "prefixItems",
        "anyOf",
        "oneOf",
    }
    | {"allOf", "$ref", "pattern", "format", "minLength", "maxLength", "minItems", "maxItems", "minimum", "maximum"}
    | {"exclusiveMinimum", "exclusiveMaximum", "nullable"}
)
_KINDS = ("object", "array", "string", "number", "integer", "boolean", "null")


def grammar_of(response_format: ResponseFormat) -> str:
    """Return the grammar of *response_format*; empty for free text.

    Raises:
        RequestError: the schema is broken or asks for what cannot be had, and where.

    """
    if response_format.kind == "text":
        return ""
    grammar = Grammar(param=SCHEMA_PARAM)
    return grammar.text(format_rule(response_format, grammar))


def format_rule(response_format: ResponseFormat, grammar: Grammar) -> str:
    """Return the expression for texts of *response_format*, which is not free."""
    if response_format.kind == "json_object":
        return SchemaWriter({"type": "object"}, grammar, param="response_format").rule()
    return SchemaWriter(response_format.schema, grammar, param=SCHEMA_PARAM).rule()


def spelled(value: Any) -> str:
    """Return *value* as JSON, as a model would write it."""
    return json.dumps(value, ensure_ascii=False)


class SchemaWriter:
    """Writes one schema's rules into a grammar."""

    def __init__(self, schema: Any, grammar: Grammar, *, param: str, strict: bool = True) -> None:
        """*param* is the field to blame; unless *strict* conditions that cannot be expressed are left out."""
        self._root, self._grammar, self._param, self._strict = schema, grammar, param, strict
        self._refs: dict[str, str] = {}
        self._chain: tuple[str, ...] = ()  # references followed since a character had to be written
        self._depth = 0

    def __repr__(self) -> str:
        return f"<SchemaWriter for {self._param}, {len(self._refs)} references>"

    def rule(self) -> str:
        """Return the expression for the JSON texts that obey the schema.

        Raises:
            RequestError: the schema is broken or asks for what cannot be had, and where.

        """
        return self._visit(self._root, "#", "value")

    def _fail(self, path: str, why: str) -> NoReturn:
        raise RequestError(f"schema at {path}: {why}", param=self._param)

    @contextmanager
    def _deeper(self, path: str) -> Generator[None]:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._fail(path, f"more than {MAX_DEPTH} levels deep, or endless")
        yield
        self._depth -= 1

    def _inside(self, schema: Any, path: str, hint: str) -> str:
        """Visit a part that comes after at least one sign, so that a reference may come back to us."""
        chain, self._chain = self._chain, ()
        expression = self._visit(schema, path, hint)
        self._chain = chain
        return expression

    def _visit(self, schema: Any, path: str, hint: str) -> str:
        if schema is True:
            return self._anything()
        if not isinstance(schema, dict):
            self._fail(path, "no value is allowed here" if schema is False else f"expected an object, found {schema!r}")
        with self._deeper(path):
            return self._mapping(cast("Schema", schema), path, hint)

    def _mapping(self, schema: Schema, path: str, hint: str) -> str:  # one return per kind of schema
        self._check(schema, path)
        for key, read in (("$ref", self._reference), ("allOf", self._all), ("anyOf", self._any), ("oneOf", self._any)):
            if key in schema:
                return read(schema, key, path, hint)
        if schema.get("nullable") is True and "null" not in _listed(schema.get("type")):
            return either([self._visit({**schema, "nullable": False}, path, hint), '"null"'])
        if "const" in schema:
            return literal(spelled(schema["const"]))
        if "enum" in schema:
            return self._choice(schema, path, hint)
        kinds = _listed(schema["type"]) if "type" in schema else _implied(schema)
        if len(kinds) != 1:
            plain = {key: value for key, value in schema.items() if key != "nullable"}
            choices = [self._visit({**plain, "type": kind}, path, hint) for kind in kinds]
            return either(choices) if choices else self._anything()
        return self._typed(schema, kinds[0], path, hint)

    def _check(self, schema: Schema, path: str) -> None:
        found = [key for key in _NARROWING if key in schema and schema[key] not in (False, {}, [], None)]
        if found and self._strict:
            self._fail(path, f"{found[0]!r} is not supported; remove it")
        for key, kind in (("properties", dict), ("required", list), ("enum", list), ("prefixItems", list)):
            if key in schema and not isinstance(schema[key], kind):
                self._fail(
                    path, f"{key!r} should be {'an object' if kind is dict else 'a list'}, found {schema[key]!r}"
                )

    def _typed(self, schema: Schema, kind: Any, path: str, hint: str) -> str:
        if kind == "object":
            return self._object(schema, path, hint)
        if kind == "array":
            return self._array(schema, path, hint)
        if kind in ("boolean", "null"):
            return '("true" | "false")' if kind == "boolean" else '"null"'
        scalars = {"string": string_rule, "integer": integer_rule, "number": number_rule}
        if kind not in scalars:
            self._fail(path, f"type {kind!r} is none of {', '.join(_KINDS)}")
        try:
            return self._grammar.add(hint, scalars[kind](schema, self._grammar, strict=self._strict))
        except ValueError as error:
            self._fail(path, str(error))

    def _anything(self) -> str:
        if "*" not in self._refs:
            self._refs["*"] = name = self._grammar.reserve("any")
            simple = [self._typed({}, kind, "#", kind) for kind in ("string", "number", "boolean", "null")]
            self._grammar.define(
                name, " | ".join([self._any_object(), array(self._grammar, [], name, 0, None), *simple])
            )
        return self._refs["*"]

    def _any_object(self) -> str:
        anything = self._anything()
        rest = f'{self._grammar.string()} ":" {self._grammar.space()} {anything}'
        return self._grammar.add("object", closed_object(self._grammar, [], self._grammar.add("pair", rest)))

    def _object(self, schema: Schema, path: str, hint: str) -> str:
        properties: Mapping[str, Any] = schema.get("properties", {})
        required = dict.fromkeys(map(str, schema.get("required", ())))
        more = schema.get("additionalProperties", not properties and not required)
        if not properties and not required and more is True:
            return self._any_object()
        members = [
            Member(self._pair(key, value, f"{path}/properties/{key}"), key in required)
            for key, value in properties.items()
        ]
        for key in required:
            if key not in properties:
                if schema.get("additionalProperties") is False:
                    self._fail(path, f"{key!r} is required, but neither a property nor allowed beside them")
                members.append(Member(self._pair(key, True, path), required=True))
        rest = None
        if more is not False:
            value = self._inside(more, f"{path}/additionalProperties", "more")
            key = open_key(self._grammar, [*properties, *required])
            rest = self._grammar.add("more", f'{key} ":" {self._grammar.space()} {value}')
        return self._grammar.add(hint, closed_object(self._grammar, members, rest))

    def _pair(self, key: str, schema: Any, path: str) -> str:
        value = self._inside(schema, path, key)
        return self._grammar.add(f"{key}-pair", f"{literal(spelled(key) + ':')} {self._grammar.space()} {value}")

    def _array(self, schema: Schema, path: str, hint: str) -> str:
        low, high = schema.get("minItems", 0), schema.get("maxItems")
        first = [
            self._inside(item, f"{path}/prefixItems/{n}", f"{hint}-{n}")
            for n, item in enumerate(schema.get("prefixItems", ()))
        ]
        items = schema.get("items", not first)
        rest = None if items is False else self._inside(items, f"{path}/items", f"{hint}-item")
        if not _is_count(low) or not (high is None or _is_count(high)):
            self._fail(path, f"minItems and maxItems should be whole numbers, found {low!r} and {high!r}")
        if (high is not None and high < max(low, len(first))) or (rest is None and low > len(first)):
            self._fail(path, "no array has both the items and the length asked for")
        return self._grammar.add(hint, array(self._grammar, first, rest, low, high))

    def _choice(self, schema: Schema, path: str, hint: str) -> str:
        values: list[Any] = schema["enum"]
        if not values or len(values) > MAX_CHOICES:
            self._fail(path, f"'enum' has {len(values)} values, expected 1 to {MAX_CHOICES}")
        return self._grammar.add(hint, " | ".join(dict.fromkeys(literal(spelled(value)) for value in values)))

    def _any(self, schema: Schema, key: str, path: str, hint: str) -> str:
        choices = schema[key]
        if not isinstance(choices, list) or not 0 < len(cast("list[Any]", choices)) <= MAX_CHOICES:
            self._fail(path, f"{key!r} should be a list of 1 to {MAX_CHOICES} schemas")
        beside = {k: v for k, v in schema.items() if k != key and k in _SAYING}
        said = [
            self._visit(self._joined(beside, choice, f"{path}/{key}/{n}"), f"{path}/{key}/{n}", f"{hint}-{n}")
            for n, choice in enumerate(cast("list[Any]", choices))
        ]
        return self._grammar.add(hint, " | ".join(dict.fromkeys(said)))

    def _all(self, schema: Schema, key: str, path: str, hint: str) -> str:
        merged: Any = {k: v for k, v in schema.items() if k != key and k in (*_SAYING, *_NARROWING)}
        for n, part in enumerate(schema[key]):
            merged = self._joined(merged, part, f"{path}/{key}/{n}")
        return self._visit(merged, path, hint)

    def _joined(self, one: Schema, other: Any, path: str) -> Any:
        """Return both in one, following the reference that one of them is."""
        if not one or not isinstance(other, dict):
            return other if not one or other is False else one
        with self._deeper(path):
            schema = cast("Schema", other)
            if "$ref" in schema:
                beside = {key: value for key, value in schema.items() if key != "$ref" and key in _SAYING}
                return self._joined(self._joined(one, self._target(schema["$ref"], path), path), beside, path)
            return self._joined_plain(one, schema, path)

    def _joined_plain(self, one: Schema, other: Schema, path: str) -> Schema:
        try:
            return merge(one, other)
        except Contradiction as error:
            self._fail(path, str(error))

    def _reference(self, schema: Schema, key: str, path: str, hint: str) -> str:
        beside = {k: v for k, v in schema.items() if k != key and k in _SAYING}
        ref = schema[key]
        target = self._target(ref, path)
        if beside:
            with self._deeper(path):
                return self._visit(self._joined(target, beside, path), path, hint)
        if ref in self._chain:
            self._fail(path, f"{ref!r} leads back to itself without end")
        if ref not in self._refs:
            self._refs[ref] = self._grammar.reserve(str(ref).rsplit("/", 1)[-1])
            chain, self._chain = self._chain, (*self._chain, ref)
            self._grammar.define(self._refs[ref], self._visit(target, ref, self._refs[ref]))
            self._chain = chain
        return self._refs[ref]

    def _target(self, ref: Any, path: str) -> Any:
        if not isinstance(ref, str) or not ref.startswith("#"):
            self._fail(path, f"'$ref' should point into this schema ('#/$defs/…'), found {ref!r}; nothing is fetched")
        found: Any = self._root
        for part in ref.removeprefix("#").split("/")[1:]:
            key = unquote(part).replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and key.isdecimal() and int(key) < len(cast("list[Any]", found)):
                found = cast("list[Any]", found)[int(key)]
            elif isinstance(found, dict) and key in found:
                found = cast("Schema", found)[key]
            else:
                self._fail(path, f"'$ref' {ref!r} points to nothing")
        return found


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _listed(kinds: Any) -> list[Any]:
    return cast("list[Any]", kinds) if isinstance(kinds, list) else [] if kinds is None else [kinds]


def _implied(schema: Schema) -> list[Any]:
    """Return the type that keywords speak of, none where it could be any."""
    for kind, keys in (
        ("object", ("properties", "required", "additionalProperties")),
        ("array", ("items", "prefixItems", "minItems", "maxItems")),
        ("string", ("pattern", "format", "minLength", "maxLength")),
        ("number", ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")),
    ):
        if any(key in schema for key in keys):
            return [kind]
    return []
