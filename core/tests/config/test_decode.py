from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from swarmgate.config.decode import Given, amend, decode
from swarmgate.config.faults import Fault, Place
from swarmgate.parts import PATH, SECRET, Options

FILE = Place("x.toml", lines={("t",): 1}, path=("t",), folder=Path("/conf"))
VARIABLE = Place("VARIABLE")


class Sample(Options, frozen=True):
    count: int = 0
    ratio: float = 0.0
    on: bool = False
    words: tuple[str, ...] = ()
    files: Annotated[list[str], PATH] = []
    table: dict[str, list[int]] = {}
    key: Annotated[str, SECRET] = ""
    keys: Annotated[list[str], SECRET] = []
    choice: Annotated[int, SECRET] | None = None
    odd: Annotated[int, msgspec.Meta(multiple_of=2)] = 0

    def __post_init__(self) -> None:
        if self.count == 13:
            raise ValueError("count is unlucky")
        if self.count == 14:
            raise LookupError
        if self.count == 15:
            raise ValueError(f"no key like {self.key} or {self.keys} or {self.choice}")


def made(place: Place, **values: Any) -> tuple[Sample | None, list[str]]:
    faults: list[Fault] = []
    options = decode(Sample, {name: Given(each, place) for name, each in values.items()}, FILE, faults.append)
    return options, [str(fault) for fault in faults]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"count": "7", "ratio": "1e3", "on": "true"}, Sample(count=7, ratio=1000.0, on=True)),
        ({"words": "a, b,,c "}, Sample(words=("a", "b", "c"))),
        ({"words": "null", "key": "null"}, Sample(words=("null",), key="null")),
        ({"files": "a,/b"}, Sample(files=["a", "/b"])),
    ],
)
def test_bare_strings_are_converted(values: dict[str, str], expected: Sample) -> None:
    """What stands in the environment has no type of its own."""
    assert made(VARIABLE, **values) == (expected, [])


def test_options_can_be_amended() -> None:
    """What is given takes the place of what they say, converted; the rest stays, and the whole is judged anew."""
    before = Sample(count=12, files=["/b"], key="sesame", table={"a": [1]})
    faults: list[Fault] = []

    def amended(**values: str) -> Sample | None:
        return amend(before, {name: Given(each, Place(f"--{name}")) for name, each in values.items()}, faults.append)

    assert amended(words="a,b") == Sample(count=12, files=["/b"], key="sesame", table={"a": [1]}, words=("a", "b"))
    assert amended(count="13") is None
    assert amended(ratio="much") is None
    assert amended(cont="1") is None
    assert [str(fault) for fault in faults] == [
        "--count: count is unlucky",
        "--ratio: expected a number, found 'much'",
        "--cont: unknown option 'cont'; did you mean 'count'?",
    ]


def test_values_in_a_file_are_not_converted() -> None:
    """There, text is text and a number a number."""
    assert made(FILE, count="7") == (None, ["x.toml:1: count: expected a whole number, found '7'"])
    assert made(FILE, ratio=7, on=False)[0] == Sample(ratio=7.0)


def test_paths_are_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the file's folder and the home; whose home is unknown stays as it is, as does nothing."""
    monkeypatch.setenv("HOME", "/h")
    options, _ = made(FILE, files=["a", "/b", "~/c", "~nobody-of-this-name/d", ""])
    assert options is not None
    assert options.files == ["/conf/a", "/b", "/h/c", "~nobody-of-this-name/d", ""]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"ratio": float("nan")}, "ratio: expected a number, found nan"),
        ({"ratio": 10**400}, "ratio: number out of range"),
        ({"on": 1}, "on: expected true or false, found 1"),
        ({"count": 1.5}, "count: expected a whole number, found 1.5"),
        ({"count": "x" * 70}, f"count: expected a whole number, found '{'x' * 60}...'"),
        ({"ratio": [10**400]}, "ratio: expected a number, found a list"),
        ({"table": {"a": ["x"]}}, "table: expected a whole number, found a table"),
        ({"odd": 3}, "odd: expected a whole number that's a multiple of 2, found 3"),
        ({"key": 5}, "key: expected text in quotes, found a whole number"),
        ({"choice": "hidden"}, "choice: expected a whole number, found text"),
        ({"count": 13}, "count is unlucky"),
        ({"count": 14}, "LookupError"),
        ({"count": 15, "key": "aaa", "keys": ["bbb"], "choice": 7}, "no key like *** or ['***'] or ***"),
    ],
)
def test_what_does_not_fit_is_explained(values: dict[str, Any], expected: str) -> None:
    """What was expected and what was found, in one line; of secrets no more than their kind."""
    assert made(FILE, **values) == (None, [f"x.toml:1: {expected}"])


def test_all_options_are_looked_at() -> None:
    """One fault does not hide another."""
    _, faults = made(FILE, count="x", ratio="y", zzz=1)
    assert len(faults) == 3
