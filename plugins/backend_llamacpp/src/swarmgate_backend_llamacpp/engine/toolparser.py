"""An answer's text taken apart as it arrives: reasoning, content, tool calls.  Pure.

Every decision depends on the text alone and never on how it is cut into pieces.  What looks like a call and turns out
to be none is content, and nothing is lost but the white space around reasoning and calls, which is layout.
"""

from __future__ import annotations

from dataclasses import dataclass

from swarmgate.api import ToolCallDelta

from swarmgate_backend_llamacpp.engine.callparser import CallParser
from swarmgate_backend_llamacpp.engine.stops import overlap
from swarmgate_backend_llamacpp.engine.thinking import Thinking


@dataclass(frozen=True, slots=True)
class ParsedDelta:
    """What a piece of text turned out to be."""

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()


class _Reasoning:
    """Tells reasoning, which can only come first, from the rest."""

    def __init__(self, thinking: Thinking | None) -> None:
        self._thinking = thinking
        self._held = ""
        self._state = "after" if thinking is None else "inside" if thinking.opened else "before"
        self._may_repeat = thinking is not None and thinking.opened  # some models open it once more
        self._began = False  # something of the reasoning itself has been said

    def feed(self, text: str) -> tuple[str, str]:
        """Return the reasoning and the rest that are certain now."""
        self._held += text
        reasoning = rest = ""
        if self._state == "before":
            self._look_for_opener()
        if self._state == "inside":
            reasoning = self._read()
        if self._state == "gap":
            self._held = self._held.lstrip()
            if self._held:
                self._state = "after"
        if self._state == "after":
            rest, self._held = self._held, ""
        return reasoning, rest

    def finish(self) -> tuple[str, str]:
        held, self._held = self._held, ""
        return (held.rstrip(), "") if self._state == "inside" else ("", "" if self._state == "gap" else held)

    def _look_for_opener(self) -> None:
        assert self._thinking is not None  # noqa: S101  # only such a one begins in this state
        opener, shown = self._thinking.opener, self._held.lstrip()
        if shown.startswith(opener):
            self._held, self._state = shown[len(opener) :], "inside"
        elif not opener.startswith(shown):
            self._state = "after"

    def _read(self) -> str:
        assert self._thinking is not None  # noqa: S101  # likewise
        closer = self._thinking.closer
        if not self._began:
            self._held = self._held.lstrip()
            opener = self._thinking.opener
            if self._may_repeat and self._held.startswith(opener):
                self._held, self._may_repeat = self._held[len(opener) :].lstrip(), False
            elif self._may_repeat and opener.startswith(self._held):
                return ""
        before, met, after = self._held.partition(closer)
        if met:
            self._held, self._state = after, "gap"
            return before.rstrip()
        safe = self._held[: len(self._held) - overlap(self._held, closer)].rstrip()
        self._began = self._began or bool(safe)
        self._held = self._held[len(safe) :]
        return safe


class AnswerParser:
    """Reads one answer."""

    def __init__(self, thinking: Thinking | None, calls: CallParser | None) -> None:
        """Read content and *calls*; None means that there can be none: all that is not reasoning is content."""
        self._reasoning, self._calls = _Reasoning(thinking), calls

    def __repr__(self) -> str:
        return f"<AnswerParser{' called' if self.called else ''}>"

    @property
    def called(self) -> bool:
        """Return whether a tool call was made."""
        return self._calls is not None and self._calls.called

    @property
    def complete(self) -> bool:
        """Return whether all that may be said has been: the one call allowed is closed."""
        return self._calls is not None and self._calls.complete

    def feed(self, text: str) -> ParsedDelta:
        """Take *text* in and return what is certain now."""
        reasoning, rest = self._reasoning.feed(text)
        if self._calls is None:
            return ParsedDelta(rest, reasoning)
        content, calls = self._calls.feed(rest)
        return ParsedDelta(content, reasoning, calls)

    def finish(self) -> ParsedDelta:
        """Return what was held back: the text is over."""
        reasoning, rest = self._reasoning.finish()
        if self._calls is None:
            return ParsedDelta(rest, reasoning)
        content, calls = self._calls.feed(rest)
        more, last = self._calls.finish()
        return ParsedDelta(content + more, reasoning, calls + last)
