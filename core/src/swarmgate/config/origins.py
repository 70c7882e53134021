"""Where in a TOML text each key stands.

:mod:`tomllib` says what a document means but not where it said it.  This scanner walks over a text
that :mod:`tomllib` has already accepted, so it may trust the text and need not understand values
beyond knowing where they end.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping

#: The way from the top of a document to a value: names of keys, and indices into arrays.
KeyPath = tuple[str | int, ...]

_BLANK = re.compile(r"[ \t]*")
_GAP = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_BARE = re.compile(r"[^\s.=\]\[{},\"'#]+")
_SCALAR = re.compile(r"[^,\]}#\n]*")
_STRINGS = (
    re.compile(r'"""(?:[^"\\]|\\[\s\S]|"(?!""))*"{3,5}'),
    re.compile(r"'''(?:[^']|'(?!''))*'{3,5}"),
    re.compile(r'"(?:[^"\\\n]|\\[^\n])*"'),
    re.compile(r"'[^'\n]*'"),
)


def locate(text: str) -> dict[KeyPath, int]:
    """Map each table, key and array element in *text*, which must be valid TOML, to its line, counted from one."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


def nearest(lines: Mapping[KeyPath, int], path: KeyPath) -> int | None:
    """Return the line of *path*, or of the closest thing that holds it."""
    for end in range(len(path), 0, -1):
        if path[:end] in lines:
            return lines[path[:end]]
    return None


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text.replace("\r\n", "\n")
        self.at = 0
        self.lines: dict[KeyPath, int] = {}
        self._line = 1
        self._counted = 0
        self._lengths: dict[KeyPath, int] = {}

    def document(self) -> None:
        table: KeyPath = ()
        while self._peek(_GAP):
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> KeyPath:
        line = self._here()
        element = self.text.startswith("[[", self.at)
        self.at += 2 if element else 1
        table: KeyPath = ()
        *outer, last = self._key()
        for name in outer:
            table = self._newest((*table, name), line)
        table = (*table, last)
        if element:
            self.lines.setdefault(table, line)
            index = self._lengths.get(table, 0)
            self._lengths[table] = index + 1
            table = (*table, index)
        self.lines[table] = line  # over what a deeper table's header may have implied before
        self.at += 2 if element else 1
        return table

    def _newest(self, table: KeyPath, line: int) -> KeyPath:
        """Return *table*, or if it is an array of tables its newest element, which is what a header means."""
        self.lines.setdefault(table, line)
        return (*table, self._lengths[table] - 1) if table in self._lengths else table

    def _pair(self, table: KeyPath) -> None:
        line = self._here()
        for name in self._key():
            table = (*table, name)
            self.lines.setdefault(table, line)
        self.at += 1  # the equals sign
        self._value(table)

    def _key(self) -> list[str]:
        names: list[str] = []
        while True:
            self._peek(_BLANK)
            if self.text[self.at] in "\"'":
                names.append(tomllib.loads(f"key = {self._skip(*_STRINGS[2:])}")["key"])
            else:
                names.append(self._skip(_BARE))
            self._peek(_BLANK)
            if self.text[self.at] != ".":
                return names
            self.at += 1

    def _value(self, path: KeyPath) -> None:
        self._peek(_BLANK)
        match self.text[self.at]:
            case "[":
                self._array(path)
            case "{":
                self._inline(path)
            case '"' | "'":
                self._skip(*_STRINGS)
            case _:
                self._skip(_SCALAR)

    def _array(self, path: KeyPath) -> None:
        self.at += 1
        index = 0
        while self._peek(_GAP) and self.text[self.at] != "]":
            self.lines[*path, index] = self._here()
            self._value((*path, index))
            self._comma()
            index += 1
        self.at += 1

    def _inline(self, path: KeyPath) -> None:
        self.at += 1
        while self._peek(_GAP) and self.text[self.at] != "}":
            self._pair(path)
            self._comma()
        self.at += 1

    def _comma(self) -> None:
        if self._peek(_GAP) and self.text[self.at] == ",":
            self.at += 1

    def _peek(self, gap: re.Pattern[str]) -> bool:
        """Step over *gap*; say whether anything follows it."""
        self._skip(gap)
        return self.at < len(self.text)

    def _skip(self, *patterns: re.Pattern[str]) -> str:
        """Step over the first of *patterns* that matches and return what it matched."""
        for pattern in patterns:
            if match := pattern.match(self.text, self.at):
                self.at = match.end()
                return match[0]
        raise ValueError(f"line {self._here()}: not what valid TOML has here")

    def _here(self) -> int:
        self._line += self.text.count("\n", self._counted, self.at)
        self._counted = self.at
        return self._line
