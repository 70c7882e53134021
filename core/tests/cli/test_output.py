from __future__ import annotations

import sys

import pytest
from swarmgate.cli.output import print_hanging, printable, table_lines


def test_nothing_is_left_that_a_terminal_would_obey() -> None:
    """Escapes become question marks, and so do ends of lines unless they may stay."""
    assert printable("a\x1b[2Jb\n\tc\u202e") == "a?[2Jb??c?"
    assert printable("a\x1b[2Jb\n\tc\x9b", lines=True) == "a?[2Jb\n\tc?"


def test_columns_are_aligned() -> None:
    """The last one is as wide as it likes, and nothing stands behind it."""
    assert table_lines([("a", "b", ""), ("long", "", "c")]) == ["a     b", "long     c"]
    assert table_lines([]) == []


def test_the_last_column_is_broken_to_the_width_of_a_terminal() -> None:
    """Beside the others while there is room; else below its row, so that a reason is read on any terminal."""
    rows = [("name", "why not"), ("shed", "nothing answers there: is the machine on, is it the right address")]
    assert table_lines(rows, 32) == [
        "name  why not",
        "shed  nothing answers there: is",
        "      the machine on, is it the",
        "      right address",
    ]
    long = [("a-name-of-thirty-two-characters-", "why not"), ("shed", "nothing answers there"), ("attic", "")]
    assert table_lines(long, 40) == [
        "a-name-of-thirty-two-characters-",
        "      why not",
        "shed",
        "      nothing answers there",
        "attic",
    ]
    assert table_lines(rows, 200) == table_lines(rows)
    assert table_lines([("id", "error"), ("1", "-"), ("2", "")], 7) == ["id", "1", "2"]


def test_what_hangs_is_broken_on_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who reads it by a program finds a sentence in one line."""
    print_hanging("  ok    ", "one two three four five six", 8)
    assert capsys.readouterr().out == "  ok    one two three four five six\n"
    monkeypatch.setenv("COLUMNS", "32")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_hanging("  ok    ", "one two three four five six", 8)
    assert capsys.readouterr().out == "  ok    one two three four five\n        six\n"
