from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.config.origins import KeyPath, locate, nearest

EVERYTHING = '''\
# a comment with [brackets] and = signs
title = "x" # [not.a.table]
a.b."c.d" = 1

[table] # here
key = """
[fake]
also = "not a key"
\\"""
"""   # end
literal = \'\'\'
fake = 1\'\'\'\'
"quoted \\u0041 # key" = 'x = 1'
  spaced . dotted  = [ # an array
    1,
    [2, "]"],   # nested ]
    { x = 1, y.z = "}" },
    "a",
  ]
inline = { a = 1, b = [1, { c = 2 }] }
when = 1979-05-27 07:32:00

[table.deeper]
n = -1e3

[[many]]
k = 1
[many.sub]
k = 2
[[many.rows]]
[[many.rows]]
k = 3

[[many]]
[many.sub]
k = 4
[[ many . rows ]]

[late.implied.table]
[late]
k = 1
'''


def paths(value: Any, here: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield the path of everything tomllib reports."""
    items: Iterator[tuple[str | int, Any]] = iter(())
    if isinstance(value, dict):
        items = iter(value.items())
    elif isinstance(value, list):
        items = iter(enumerate(value))
    for step, each in items:
        yield (*here, step)
        yield from paths(each, (*here, step))


def test_every_kind_of_toml_is_located() -> None:
    """Strings of all kinds, comments, dotted and quoted keys, arrays, tables in lines and in arrays."""
    lines = locate(EVERYTHING)
    assert set(lines) == set(paths(tomllib.loads(EVERYTHING)))
    numbered = {
        ("title",): 2,
        ("a",): 3,
        ("a", "b", "c.d"): 3,
        ("table",): 5,
        ("table", "key"): 6,
        ("table", "literal"): 11,
        ("table", "quoted A # key"): 13,
        ("table", "spaced", "dotted"): 14,
        ("table", "spaced", "dotted", 0): 15,
        ("table", "spaced", "dotted", 1, 1): 16,
        ("table", "spaced", "dotted", 2, "y", "z"): 17,
        ("table", "spaced", "dotted", 3): 18,
        ("table", "inline", "b", 1, "c"): 20,
        ("table", "when"): 21,
        ("table", "deeper"): 23,
        ("many",): 26,
        ("many", 0, "sub", "k"): 29,
        ("many", 0, "rows", 1, "k"): 32,
        ("many", 1): 34,
        ("many", 1, "sub", "k"): 36,
        ("many", 1, "rows", 0): 37,
        ("late", "implied"): 39,
        ("late",): 40,
        ("late", "k"): 41,
    }
    assert {path: lines[path] for path in numbered} == numbered


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_line_endings_do_not_matter(ending: str) -> None:
    """A file from another system has the same lines."""
    text = EVERYTHING.replace("\n", ending)
    assert locate(text) == locate(EVERYTHING)


def test_what_is_no_newline_in_toml_counts_for_none() -> None:
    """Characters that other rules take for line ends stay within their line."""
    text = 'a = "\u2028\u0085" # \u2028\nb = 1\n'
    assert locate(text) == {("a",): 1, ("b",): 2}


def test_the_nearest_line_is_of_what_holds_it() -> None:
    """For what has no line itself, the table's line will do; for nothing at all there is none."""
    lines: dict[KeyPath, int] = {("a",): 3, ("a", "b"): 4}
    assert nearest(lines, ("a", "b", "c", 1)) == 4
    assert nearest(lines, ("a", "x")) == 3
    assert nearest(lines, ("z",)) is None


KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=4) | st.sampled_from(
    ["a", "b", "a.b", "1", '"', "'", "#"]
)
SCALARS = st.one_of(
    st.integers(-(2**62), 2**62),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(["[x]", "a = 1", '"""', "'''", "# no", "}", "]", "\n[x]\n"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


def quoted(text: str) -> str:
    return msgspec.json.encode(text).decode().replace("\x7f", "\\u007f")


class Writer:
    """Writes a document in a way hypothesis chooses, and remembers on which line it put each key."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.text = ""
        self.lines: dict[KeyPath, int] = {}

    def put(self, text: str) -> None:
        self.text += text

    def mark(self, path: KeyPath) -> None:
        self.lines[path] = self.text.count("\n") + 1

    def choose(self, *options: str) -> str:
        return self.data.draw(st.sampled_from(options))

    def blank(self) -> None:
        self.put(self.choose("", " ", "\t"))

    def gap(self) -> None:
        self.put(self.choose("", "", " ", "\n", " # ] } \" = '''\n", "\n\n"))

    def key(self, name: str) -> None:
        plain = name and all(c.isascii() and (c.isalnum() or c in "-_") for c in name)
        literal = not any(c == "'" or (ord(c) < 32 and c != "\t") or c == "\x7f" for c in name)
        kinds = [quoted(name)] + [name] * bool(plain) + [f"'{name}'"] * literal
        self.put(self.choose(*kinds))

    def pair(self, path: KeyPath) -> None:
        self.mark(path)
        self.key(str(path[-1]))
        self.blank()
        self.put("=")
        self.blank()

    def value(self, value: Any, path: KeyPath) -> None:
        match value:
            case bool():
                self.put(str(value).lower())
            case int() | float():
                self.put(repr(value))
            case str():
                self.string(value)
            case list():
                self.put("[")
                for index, each in enumerate(value):
                    self.gap()
                    self.mark((*path, index))
                    self.value(each, (*path, index))
                    self.gap()
                    self.put("," if index < len(value) - 1 else self.choose("", ","))
                self.gap()
                self.put("]")
            case _:
                self.put("{")
                for index, (name, each) in enumerate(value.items()):
                    self.put(", " if index else " ")
                    self.pair((*path, name))
                    self.value(each, (*path, name))
                self.put(" }")

    def string(self, value: str) -> None:
        kinds = [quoted(value), f'"""\n{quoted(value)[1:-1]}"""']
        fine = not any((ord(c) < 32 and c not in "\t\n") or c == "\x7f" for c in value)
        if fine and "\n" not in value and "'" not in value:
            kinds.append(f"'{value}'")
        if fine and "'''" not in value and not value.startswith("'"):
            kinds.append(f"'''\n{value}'''")
        if fine and '"' not in value and "\\" not in value:
            kinds.append(f'"""\n{value}"""')
        self.put(self.choose(*kinds))

    def table(self, table: dict[str, Any], path: KeyPath) -> None:
        for name, value in table.items():
            self.put(self.choose("", "\n", "# [x]\n", "  "))
            self.pair((*path, name))
            self.value(value, (*path, name))
            self.put(self.choose("\n", " # = [\n", "\r\n"))


TABLES = st.dictionaries(KEYS, VALUES, max_size=3)


@given(
    st.data(),
    TABLES,
    st.dictionaries(KEYS, TABLES | st.lists(TABLES, min_size=1, max_size=3), max_size=4),
)
def test_every_key_is_located_where_it_stands(data: st.DataObject, top: dict[str, Any], tables: dict[str, Any]) -> None:
    """Every key tomllib reports is on the line on which it was written, and no other key is."""
    writer = Writer(data)
    writer.table(top, ())
    for name, value in tables.items():
        if name in top:
            continue
        writer.mark((name,))
        for index, each in enumerate(value if isinstance(value, list) else [value]):
            path: KeyPath = (name, index) if isinstance(value, list) else (name,)
            writer.blank()
            writer.mark(path)
            writer.put("[[" if isinstance(value, list) else "[")
            writer.blank()
            writer.key(name)
            writer.blank()
            writer.put("]]" if isinstance(value, list) else "]")
            writer.put(data.draw(st.sampled_from(["\n", " # x\n"])))
            writer.table(each, path)
    assert {*paths(tomllib.loads(writer.text))} == {*writer.lines}
    assert locate(writer.text) == writer.lines


PIECES = """
    [a] [[a]] [a.b] [[a.b]] a=1 b."c"=[1, ] {x=1} \"\"\" ''' # " ' = , [ { } x.y= a.b.c=2 1.5 true
"""
FRAGMENTS = st.lists(st.sampled_from([*PIECES.split(), "\n", "\r\n", " ", "\\", "\ufeff", "\x00"]), max_size=24)


@given(FRAGMENTS)
def test_whatever_tomllib_accepts_is_located(fragments: list[str]) -> None:
    """For any text tomllib accepts, exactly its keys are located, each on a line that exists."""
    text = "".join(fragments)
    try:
        document = tomllib.loads(text)
    except ValueError:
        return
    lines = locate(text)
    assert set(lines) == set(paths(document))
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())
