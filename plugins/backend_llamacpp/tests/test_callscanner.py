from __future__ import annotations

import pytest
from swarmgate_backend_llamacpp.engine.callscanner import CallScanner


@pytest.mark.parametrize(
    ("text", "name", "arguments", "taken"),
    [
        ('{"name": "f", "arguments": {"a": "}"}} more', "f", '{"a": "}"}', 38),
        ('{"arguments": [1], "name": "f"}', "f", "[1]", 31),
        ('{"name": "f", "arguments": 5, "x": true}', "f", "5", 40),
        ('{ "na\\u006de" : "f" }', "f", "{}", 21),
        ('{"name": "f", "arguments": {"a": [}', "f", '{"a": [}', 35),
    ],
)
def test_a_call_is_read_as_far_as_it_goes(text: str, name: str, arguments: str, taken: int) -> None:
    """Name and arguments come in any order, and what follows the call is left."""
    scanner = CallScanner()
    assert scanner.feed(text) == taken
    assert (scanner.name, scanner.take_arguments(), scanner.take_arguments()) == (name, arguments, "")
    assert not scanner.bad


@pytest.mark.parametrize(
    "text", ["x", "{1", '{"name" 1', '{"name": ,', '{"name": 5}', '{"name": ""}', "{}", '{"name": "f" "x"']
)
def test_what_is_no_call(text: str) -> None:
    """Text that cannot become a call is said to be none."""
    scanner = CallScanner()
    scanner.feed(text)
    assert scanner.bad
    assert not scanner.done


def test_only_known_names_where_nothing_marks_a_call() -> None:
    """With the names given an object is a call only if it begins like one and has one of them."""
    for text, bad in (('{"name": "f"}', False), ('{"name": "g"}', True), ('{"size": 1, "name": "f"}', True)):
        scanner = CallScanner(names={"f"})
        scanner.feed(text)
        assert scanner.bad == bad


def test_bare_arguments() -> None:
    """With the name given only the arguments are read, and they must be an object."""
    scanner = CallScanner(name="f")
    assert scanner.feed(' {"a": 1} x') == 9
    assert (scanner.done, scanner.name, scanner.take_arguments()) == (True, "f", '{"a": 1}')
    other = CallScanner(name="f")
    other.feed("[1]")
    assert other.bad
