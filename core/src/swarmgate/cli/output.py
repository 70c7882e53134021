"""What verbs print: tables for people, JSON for programs, and errors in one line."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn, cast

import click
import msgspec

from swarmgate.errors import ConfigError, SwarmgateError

FAILED = 1
USAGE = 2
_GAP = "  "
#: A column is not broken into less than so many characters.
_NARROWEST = 24
_BELOW = " " * 6
_NOTHING = ("", "-")


def print_json(facts: object) -> None:
    """Print *facts* as indented JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(facts, enc_hook=str), indent=2))


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print *rows* with their columns aligned; the last column is as wide as it likes, or as the terminal has room."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    for line in table_lines(rows, width):
        click.echo(line)


def table_lines(rows: Sequence[Sequence[str]], width: int = 0) -> list[str]:
    """Return the same, line by line; with a *width*, the last column is broken to keep within so many characters.

    Where next to the others there is too little room for it, what does not fit stands below its row; if it says nothing
    at all, it is left out.
    """
    if width and len(rows) > 1 and all(row[-1] in _NOTHING for row in rows[1:]):
        whole = table_lines(rows)
        return whole if max(map(len, whole)) <= width else table_lines([row[:-1] for row in rows])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    before = sum(widths[:-1]) + len(_GAP) * (len(widths) - 1)
    lines: list[str] = []
    for row in rows:
        line = _GAP.join(cell.ljust(each) for cell, each in zip(row, widths, strict=True)).rstrip()
        if not width or len(line) <= width or row[-1] in _NOTHING:
            lines.append(line)
        elif width - before >= _NARROWEST:
            first, *more = _broken(row[-1], width - before)
            lines += [line[:before] + first, *(" " * before + each for each in more)]
        else:
            lines += [line[:before].rstrip(), *(_BELOW + each for each in _broken(row[-1], width - len(_BELOW)))]
    return lines


def print_hanging(head: str, text: str, indent: int) -> None:
    """Print *text* behind *head*; on a terminal, what goes over its edge is continued *indent* characters in."""
    lines = [text]
    if sys.stdout.isatty():
        lines = _broken(text, shutil.get_terminal_size().columns - indent)
    for begin, line in zip((head, *(" " * indent for _ in lines[1:])), lines, strict=True):
        click.echo(printable(begin + line))


def _broken(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, max(width, _NARROWEST), break_on_hyphens=False) or [text]


def printable(text: str, *, lines: bool = False) -> str:
    """Return *text*, which may be others' words, without what a terminal would obey; *lines* and tabs may stay."""
    return "".join(each if each.isprintable() or (lines and each in "\n\t") else "?" for each in text)


def fail(message: str, *, status: int = FAILED) -> NoReturn:
    """Print *message* as an error and end the command."""
    click.echo(f"error: {message}", err=True)
    sys.exit(status)


@contextmanager
def expected_errors() -> Generator[None]:
    """Turn the errors the gateway raises on purpose, alone or in groups, into a line each and a status.

    What is not expected passes, with its traceback: somebody has to look.
    """
    try:
        yield
    except BaseException as error:
        leaves = list(_leaves(error))
        if not leaves or not all(isinstance(leaf, SwarmgateError) for leaf in leaves):
            raise
        for message in dict.fromkeys(map(str, leaves)):
            for line in message.splitlines():
                click.echo(f"error: {line}", err=True)
        sys.exit(USAGE if all(isinstance(leaf, ConfigError) for leaf in leaves) else FAILED)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for member in cast("BaseExceptionGroup[BaseException]", error).exceptions:
            yield from _leaves(member)
    else:
        yield error
