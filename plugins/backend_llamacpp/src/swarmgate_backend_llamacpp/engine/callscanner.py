"""One tool call written as JSON, read character by character: its name, then its arguments as they come.  Pure.

Lenient where models are careless: what is inside the arguments is passed on as written, and only has to be balanced.
"""

from __future__ import annotations

import json  # noqa: TID251  # reads what a model wrote: lone surrogates and control characters included
from collections.abc import Collection
from typing import Any, Literal, cast

_BLANK = " \t\r\n"
_NAME = ("name", "function")
_ARGUMENTS = ("arguments", "parameters", "args", "input")
#: A bare object is only taken for a call if it begins with one of these.
_FIRST = ("name", "function", "type", "id", "parameters", "arguments")

State = Literal["open", "key", "in key", "colon", "value", "in value", "comma", "done", "bad"]


class CallScanner:
    """Reads ``{"name": …, "arguments": …}`` in either order of keys, with others beside them.

    *name* is set as soon as the call is certain; *arguments* then grows.
    """

    def __init__(self, *, names: Collection[str] | None = None, name: str | None = None) -> None:
        """*names* are the only ones a call may have, if given; *name* means that bare arguments are read."""
        self._names = names
        self._state: State = "open" if name is None else "value"
        self._bare = name is not None
        self._first = True
        self._key = _ARGUMENTS[0] if self._bare else ""
        self._found: str | None = name
        self._value: list[str] = []
        self._depth = 0
        self._quoted = self._escaped = self._streaming = False
        self._whole: str | None = None  # arguments that were read before the name was known
        self.name: str | None = None
        self._arguments: list[str] = []

    def __repr__(self) -> str:
        return f"<CallScanner {self._state} name={self.name!r}>"

    @property
    def done(self) -> bool:
        """Return whether the call is closed."""
        return self._state == "done"

    @property
    def bad(self) -> bool:
        """Return whether this is no call, or no longer one."""
        return self._state == "bad"

    def take_arguments(self) -> str:
        """Return the argument text that came since the last time."""
        text = "".join(self._arguments)
        self._arguments.clear()
        return text

    def feed(self, text: str) -> int:
        """Take in as much of *text* as belongs to the call and return how many characters that is."""
        for at, character in enumerate(text):
            if self._state in ("done", "bad") or not self._step(character):
                return at
        return len(text)

    def _step(self, c: str) -> bool:
        """Take one character in, or return False and leave it."""
        state = self._state
        if state == "in value":
            return self._in_value(c)
        if state == "in key":
            self._in_key(c)
            return True
        if c in _BLANK:
            return True
        following: dict[State, dict[str, State]] = {
            "open": {"{": "key"},
            "key": {'"': "in key", "}": "done"},
            "colon": {":": "value"},
            "comma": {",": "key", "}": "done"},
        }
        if state == "value":
            return self._begin_value(c)
        self._state = following[state].get(c, "bad")
        if self._state == "in key":
            self._value = ['"']
        if self._state == "done":
            self._close()
        return self._state != "bad" or c == "}"

    def _in_key(self, c: str) -> None:
        self._value.append(c)
        if self._escaped:
            self._escaped = False
        elif c == "\\":
            self._escaped = True
        elif c == '"':
            self._key = str(_read("".join(self._value)))
            self._state = "colon"
            if self._first and self._names is not None and self._key not in _FIRST:
                self._state = "bad"
            self._first = False

    def _begin_value(self, c: str) -> bool:
        if c in ",:]}" or (self._bare and c != "{"):
            self._state = "bad"
            return False
        self._state, self._value, self._depth = "in value", [], 0
        self._quoted = self._escaped = False
        self._streaming = self._key in _ARGUMENTS and self._found is not None and self.name is None and c in "{["
        if self._streaming:
            self.name = self._found
        return self._in_value(c)

    def _in_value(self, c: str) -> bool:
        if not self._value and c not in '{["':  # a number or a word ends before what follows it
            self._depth = -1
        elif self._depth < 0 and (c in _BLANK or c in ",}]"):
            self._end_value()
            return self._state != "bad" and self._step(c)
        self._value.append(c)
        if self._streaming:
            self._arguments.append(c)
        if self._depth >= 0:
            self._balance(c)
            if self._depth == 0 and not self._quoted:
                self._end_value()
        return True

    def _balance(self, c: str) -> None:
        if self._escaped:
            self._escaped = False
        elif self._quoted:
            self._escaped, self._quoted = c == "\\", c != '"'
        elif c == '"':
            self._quoted = True
        elif c in "{[":
            self._depth += 1
        elif c in "}]":
            self._depth -= 1

    def _end_value(self) -> None:
        raw, self._state = "".join(self._value), "comma"
        if self._bare:
            self._state = "done"
        elif self._key in _NAME and self._found is None:
            self._take_name(_read(raw))
        elif self._key in _ARGUMENTS and not self._streaming and self.name is None:
            self._whole = _unquoted(raw)
        if self._found is not None and self._whole is not None and self.name is None:
            self.name = self._found
            self._arguments.append(self._whole)

    def _take_name(self, value: Any) -> None:
        if isinstance(value, dict):  # {"function": {"name": …, "arguments": …}}
            inner = cast("dict[str, Any]", value)
            given: Any = next((inner[key] for key in _ARGUMENTS if key in inner), None) or {}
            self._whole = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
            value = inner.get("name")
        if isinstance(value, str) and value and (self._names is None or value in self._names):
            self._found = value
        else:
            self._state = "bad"

    def _close(self) -> None:
        if self._found is None:
            self._state = "bad"
        elif self.name is None:
            self.name = self._found
            self._arguments.append("{}")


def _read(raw: str) -> Any:
    try:
        return json.loads(raw, strict=False)
    except ValueError:
        return None


def _unquoted(raw: str) -> str:
    """Return arguments as JSON text: some models write an object into a string, or null for none."""
    value = _read(raw)
    if isinstance(value, str) and isinstance(_read(value), dict):
        return value
    return "{}" if value is None and raw == "null" else raw
