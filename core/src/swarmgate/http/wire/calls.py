"""Pieces of tool calls, put in order for dialects that tell one call after the other.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

import msgspec

from swarmgate.chat import FunctionCall, ToolCallDelta


class CallsInTurn:
    """Gives the pieces of calls one call after the other, however they come.

    A call is over when another begins and its own arguments are a whole JSON value.  Until then what comes of later
    ones is kept: some servers write several calls at once.
    """

    def __init__(self) -> None:
        self._order: list[int] = []
        self._written: dict[int, str] = {}
        self._kept: dict[int, list[ToolCallDelta]] = {}

    def __repr__(self) -> str:
        return f"<CallsInTurn {len(self._order)} calls, {len(self._kept)} kept>"

    def take(self, pieces: Iterable[ToolCallDelta]) -> Iterator[ToolCallDelta]:
        """Take *pieces* in; return those whose turn it is, each before any of the next call."""
        for piece in pieces:
            if piece.index not in self._written:
                self._order.append(piece.index)
                self._written[piece.index] = ""
            self._written[piece.index] += piece.arguments
            self._kept.setdefault(piece.index, []).append(piece)
            yield from self._due()

    def close(self) -> Iterator[ToolCallDelta]:
        """Return what was kept: nothing more will come."""
        for index in self._order:
            yield from self._kept.pop(index, ())

    def _due(self) -> Iterator[ToolCallDelta]:
        while self._order:
            index = self._order[0]
            yield from self._kept.pop(index, ())
            if len(self._order) == 1 or not is_whole(self._written[index]):
                return
            self._order.pop(0)


class WholeCalls:
    """Gives calls when they are complete, one after the other."""

    def __init__(self) -> None:
        self._turns = CallsInTurn()
        self._index: int | None = None
        self._current: FunctionCall | None = None

    def __repr__(self) -> str:
        return f"<WholeCalls, at {self._current.name if self._current else 'none'}>"

    def take(self, pieces: Iterable[ToolCallDelta]) -> Iterator[FunctionCall]:
        """Take *pieces* in; return the calls that are over."""
        return self._joined(self._turns.take(pieces))

    def close(self) -> Iterator[FunctionCall]:
        """Return the rest; the last of them may have been cut off."""
        yield from self._joined(self._turns.close())
        last, self._current = self._current, None
        if last is not None:
            yield last

    def _joined(self, pieces: Iterator[ToolCallDelta]) -> Iterator[FunctionCall]:
        for piece in pieces:
            if self._current is not None and piece.index == self._index:
                arguments = self._current.arguments + piece.arguments
                self._current = msgspec.structs.replace(self._current, arguments=arguments)
                continue
            if self._current is not None:
                yield self._current
            self._current = FunctionCall(id=piece.id or "", name=piece.name or "", arguments=piece.arguments)
            self._index = piece.index


def is_whole(arguments: str) -> bool:
    """Return whether *arguments* are a JSON value to its end."""
    try:
        msgspec.json.decode(arguments)
    except msgspec.DecodeError:
        return False
    return True


def as_object(arguments: str) -> dict[str, Any] | None:
    """Return *arguments* as the object they say, an empty one for no text, None if they are none."""
    try:
        found: object = msgspec.json.decode(arguments) if arguments.strip() else {}
    except (msgspec.DecodeError, RecursionError):
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None
