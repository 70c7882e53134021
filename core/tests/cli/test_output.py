from __future__ import annotations

from swarmgate.cli.output import printable, table_lines


def test_nothing_is_left_that_a_terminal_would_obey() -> None:
    """Escapes become question marks, and so do ends of lines unless they may stay."""
    assert printable("a\x1b[2Jb\n\tc\u202e") == "a?[2Jb??c?"
    assert printable("a\x1b[2Jb\n\tc\x9b", lines=True) == "a?[2Jb\n\tc?"


def test_columns_are_aligned() -> None:
    """The last one is as wide as it likes, and nothing stands behind it."""
    assert table_lines([("a", "b", ""), ("long", "", "c")]) == ["a     b", "long     c"]
    assert table_lines([]) == []
