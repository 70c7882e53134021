"""What an options class can be told: each option's type, bounds, default and help, in words."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args, get_origin

import msgspec
from msgspec import NODEFAULT
from msgspec import inspect as kinds

from swarmgate.parts import Options

_EMPTY = (list, dict, tuple, set, frozenset)
_PLAIN: Mapping[type[kinds.Type], tuple[str, str]] = {
    kinds.IntType: ("a whole number", "whole numbers"),
    kinds.FloatType: ("a number", "numbers"),
    kinds.StrType: ("text", "texts"),
    kinds.BoolType: ("true or false", "true or false"),
    kinds.DictType: ("a table", "tables"),
    kinds.StructType: ("a table", "tables"),
    kinds.AnyType: ("anything", "anything"),
}


@dataclass(frozen=True, slots=True)
class OptionField:
    """One option: *name* as written in a file, *attribute* as called in Python.

    *default* is what it is when not given; ``None`` where *required*, or where *computed*: found
    out at the start, such as a host's name.  *path* and *secret* are the markers of
    :mod:`swarmgate.parts`; *many* options take a list.
    """

    name: str
    attribute: str
    type: Any
    kind: str
    required: bool
    default: Any
    computed: bool
    secret: bool
    path: bool
    many: bool
    choices: tuple[str, ...]
    example: str
    help: str


@cache
def fields_of(options: type[Options]) -> dict[str, OptionField]:
    """Return what *options* can be told, by the name written in a file."""
    helps = _helps(options)
    return {field.encode_name: _describe(field, helps.get(field.name, "")) for field in msgspec.structs.fields(options)}


def _describe(field: msgspec.structs.FieldInfo, text: str) -> OptionField:
    info = kinds.type_info(field.type)
    choices = _choices(info, field.type)
    path = _marked(info, "path")
    kind = f"one of {', '.join(choices)}" if choices else in_words(info)
    if path:
        kind = kind.replace("texts", "paths").replace("text", "a path")
    empty = field.default_factory in _EMPTY
    default = None if field.default is NODEFAULT else field.default
    return OptionField(
        name=field.encode_name,
        attribute=field.name,
        type=field.type,
        kind=kind,
        required=field.required,
        default=field.default_factory() if empty else default,
        computed=not empty and field.default_factory is not NODEFAULT,
        secret=_marked(info, "secret"),
        path=path,
        many=_is_many(info),
        choices=choices,
        example=_example(info),
        help=text,
    )


def in_words(info: kinds.Type, *, several: bool = False) -> str:
    """Return a type in the operator's words, such as ``a whole number >= 1``."""
    match info:
        case kinds.Metadata():
            return in_words(info.type, several=several)
        case kinds.UnionType():
            words = [in_words(each, several=several) for each in info.types if not isinstance(each, kinds.NoneType)]
            return " or ".join(words)
        case kinds.LiteralType() | kinds.EnumType():
            return f"one of {', '.join(_choices(info, None))}"
        case kinds.CollectionType():
            return f"{'lists' if several else 'a list'} of {in_words(info.item_type, several=True)}"
        case kinds.TupleType():
            words = [in_words(each) for each in info.item_types]
            return f"{'lists' if several else 'a list'} of {', '.join(words)}"
        case _:
            one, more = _PLAIN.get(type(info), (_named(info), _named(info)))
            return f"{more if several else one}{_bounds(info)}"


def _named(info: kinds.Type) -> str:
    return type(info).__name__.removesuffix("Type").lower()


def _bounds(info: kinds.Type) -> str:
    signs = (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<"))
    bounds = [f"{sign} {getattr(info, key):g}" for key, sign in signs if getattr(info, key, None) is not None]
    return f" {' and '.join(bounds)}" if bounds else ""


def _inner(info: kinds.Type, seen: set[int]) -> Iterator[kinds.Type]:
    """Yield *info* and every type it is made of, each once: tables may hold their own kind."""
    if id(info) in seen:
        return
    seen.add(id(info))
    yield info
    parts: tuple[kinds.Type, ...] = ()
    match info:
        case kinds.Metadata():
            parts = (info.type,)
        case kinds.UnionType():
            parts = info.types
        case kinds.CollectionType():
            parts = (info.item_type,)
        case kinds.TupleType():
            parts = info.item_types
        case kinds.DictType():
            parts = (info.value_type,)
        case kinds.StructType():
            parts = tuple(field.type for field in info.fields)
        case _:
            pass
    for part in parts:
        yield from _inner(part, seen)


def _notes(info: kinds.Type, attribute: str) -> Iterator[dict[str, Any]]:
    """Yield what was noted anywhere in *info* with :class:`msgspec.Meta`."""
    for each in _inner(info, set()):
        if isinstance(each, kinds.Metadata) and (note := getattr(each, attribute)):
            yield note


def _marked(info: kinds.Type, mark: str) -> bool:
    return any(note.get(mark) for note in _notes(info, "extra"))


def _example(info: kinds.Type) -> str:
    return next((str(note["examples"][0]) for note in _notes(info, "extra_json_schema") if note.get("examples")), "")


def _bare(info: kinds.Type) -> Iterator[kinds.Type]:
    """Yield the alternatives of *info* without their notes."""
    if isinstance(info, kinds.Metadata):
        yield from _bare(info.type)
    elif isinstance(info, kinds.UnionType):
        for each in info.types:
            yield from _bare(each)
    else:
        yield info


def _is_many(info: kinds.Type) -> bool:
    """Say whether a bare string has to be split: it may be a list, and it may not be a text."""
    alternatives = list(_bare(info))
    return any(isinstance(each, kinds.CollectionType | kinds.TupleType) for each in alternatives) and not any(
        isinstance(each, kinds.StrType) for each in alternatives
    )


def _choices(info: kinds.Type, hint: Any) -> tuple[str, ...]:
    """Return the words an option may be, if it may be nothing else; in the order of *hint*, which msgspec loses."""
    words: list[str] = []
    for each in _bare(info):
        if isinstance(each, kinds.LiteralType):
            words += map(str, each.values)
        elif isinstance(each, kinds.EnumType):
            words += (str(member.value) for member in each.cls)
        elif not isinstance(each, kinds.NoneType):
            return ()
    order = {word: place for place, word in enumerate(_written(hint))}
    return tuple(sorted(words, key=lambda word: order.get(word, 0)))


def _written(hint: Any) -> Iterator[str]:
    """Yield the words of every ``Literal`` in *hint*, as written."""
    for each in get_args(hint):
        if get_origin(hint) is Literal:
            yield str(each)
        else:
            yield from _written(each)


def _helps(options: type[Options]) -> dict[str, str]:
    """Read each attribute's help from the source: the ``#:`` block above it, or the docstring below."""
    helps: dict[str, str] = {}
    for owner in reversed(options.__mro__):
        if not issubclass(owner, Options) or owner is Options:
            continue
        try:
            source = textwrap.dedent(inspect.getsource(owner))
        except (OSError, TypeError):  # no source is installed; the names have to speak for themselves
            continue
        helps |= _helps_in(source)
    return helps


def _helps_in(source: str) -> dict[str, str]:
    helps: dict[str, str] = {}
    lines = source.splitlines()
    (definition,) = ast.parse(source).body
    body = definition.body if isinstance(definition, ast.ClassDef) else []
    for here, after in zip(body, [*body[1:], None], strict=True):
        if not isinstance(here, ast.AnnAssign) or not isinstance(here.target, ast.Name):
            continue
        above: list[str] = []
        for line in reversed(lines[: here.lineno - 1]):
            if not line.strip().startswith("#:"):
                break
            above.insert(0, line.strip()[2:].strip())
        if above:
            helps[here.target.id] = " ".join(above)
        elif (
            isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str)
        ):
            helps[here.target.id] = " ".join(after.value.value.split())
    return helps
