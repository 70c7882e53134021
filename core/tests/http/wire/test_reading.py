from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct
from swarmgate.errors import RequestError
from swarmgate.http.wire.reading import Body, ignored, listed, read


class Inner(Struct):
    role: str


class Outer(Body, kw_only=True):
    items: list[Inner]
    number: Annotated[int, Meta(ge=0)] = 0
    table: dict[Annotated[str, Meta(pattern="^[0-9]+$")], float] = {}


@pytest.mark.parametrize(
    ("body", "message", "param"),
    [
        (b"", "the body is empty", None),
        (b'{"items": [}', "at byte 11 (line 1, column 12)", None),
        (b'{\n"items": [],\n x}', "(line 3, column 2)", None),
        (b'{"items": []', "truncated at byte 12", None),
        (b'{"items": []} x', "trailing characters at byte 15", None),
        (b'{"items": [{"role": "\xff"}]}', "expected UTF-8, found an invalid sequence at byte 21", None),
        (b'{"\xff": 1}', "invalid sequence at byte 2", None),
        (b'{"items": [{"role": "\\ud800"}]}', "half a surrogate pair at byte 21", None),
        (b'{"items": [], "number": NaN}', "at byte 24", None),
        (b"[]", "must be a JSON object", None),
        (b"{}", "items: required, but missing", "items"),
        (b'{"items": [{}]}', "items[0].role: required, but missing", "items[0].role"),
        (b'{"items": [{"role": 3}]}', "items[0].role: expected `str`, got `int`", "items[0].role"),
        (b'{"items": [], "number": -1}', "number: expected `int` >= 0", "number"),
        (b'{"items": [], "table": {"a": 1}}', "table: in a key: ", "table"),
        (b'{"items": [], "x": ' + b"[" * 100_000, "nested too deeply", None),
    ],
)
def test_faults_say_where(body: bytes, message: str, param: str | None) -> None:
    """What is wrong with a body is told with its place, and the field's path where there is one."""
    with pytest.raises(RequestError) as found:
        read(body, Outer)
    assert message in str(found.value)
    assert found.value.param == param


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """No bytes make anything else than a body or a request error."""
    with suppress(RequestError):
        found = read(body, Outer)
        assert isinstance(found, Outer)
        assert isinstance(ignored(body, Outer), tuple)


def test_unknown_fields_are_named() -> None:
    """Fields without a use are ignored, and can be told to the client."""
    body = b'{"items": [], "stre\\u00e4m": true, "store": {}}'
    assert read(body, Outer).items == []
    assert ignored(body, Outer) == ("streäm", "store")


@given(st.lists(st.text(max_size=100), max_size=40))
def test_listed_names_fit_a_header(names: list[str]) -> None:
    """Whatever the names are, a header can hold them."""
    header = listed(tuple(names))
    assert len(header) < 1000
    assert header.isascii()
    assert header.isprintable()
    assert header.count(",") == max(0, min(len(names), 17) - 1)
