"""From tokens to what the client reads: bytes, characters, stop strings, tool calls.  Pure.

One :class:`AnswerText` per answer.  Fed with the same tokens it always says the same, so an engine
that resumes an answer feeds it the old tokens silently and goes on where the first one stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from swarmgate.api import Delta, Finish, ToolCallDelta

from swarmgate_backend_llamacpp.engine.stops import StopMatcher
from swarmgate_backend_llamacpp.engine.utf8 import Utf8Decoder


class Parsed(Protocol):
    """What a parser makes of a piece of text."""

    @property
    def text(self) -> str:
        """Return what is content."""
        ...

    @property
    def reasoning(self) -> str:
        """Return what the model thought before it answered."""
        ...

    @property
    def tool_calls(self) -> tuple[ToolCallDelta, ...]:
        """Return pieces of calls."""
        ...


class Parser(Protocol):
    """Tells content, reasoning and tool calls apart, piece by piece."""

    @property
    def called(self) -> bool:
        """Return whether a tool call was made."""
        ...

    @property
    def complete(self) -> bool:
        """Return whether all that may be called has been called, and the rest would be thrown away."""
        ...

    def feed(self, text: str) -> Parsed:
        """Take *text* in and return what is certain now."""
        ...

    def finish(self) -> Parsed:
        """Return what was held back."""
        ...


class AnswerText:
    """Turns an answer's tokens into deltas."""

    def __init__(self, piece: Callable[[int], bytes], stops: tuple[str, ...], parser: Parser | None) -> None:
        """*piece* gives a token's bytes; *parser* None means that all text is content."""
        self._piece, self._parser = piece, parser
        self._utf8 = Utf8Decoder()
        self._stops = StopMatcher(stops) if stops else None
        self._stopped = False

    def __repr__(self) -> str:
        return f"<AnswerText{' stopped' if self._stopped else ''}>"

    @property
    def stopped(self) -> bool:
        """Return whether a stop string was met, or the one call made; nothing more is to be fed then."""
        return self._stopped or (self._parser is not None and self._parser.complete)

    @property
    def met(self) -> str:
        """Return the stop string that ended the text, empty if none has."""
        return (self._stops.met if self._stops is not None else None) or ""

    def feed(self, token: int) -> Delta:
        """Take one token in and return what can be said now, perhaps nothing."""
        text = self._utf8.feed(self._piece(token))
        if self._stops is not None:
            text = self._match(self._stops.feed(text))
        if self._parser is None:
            return Delta(text=text, token_ids=(token,))
        parsed = self._parser.feed(text)
        return Delta(text=parsed.text, reasoning=parsed.reasoning, tool_calls=parsed.tool_calls, token_ids=(token,))

    def finish(self, reason: Finish) -> Delta:
        """Return what was held back, and why the answer ended."""
        text = ""
        if not self._stopped:
            text = self._utf8.flush()
            if self._stops is not None:
                text = self._match(self._stops.feed(text)) + ("" if self._stopped else self._stops.flush())
        if self._parser is None:
            return Delta(text=text, finish=reason)
        fed, rest = self._parser.feed(text), self._parser.finish()
        return Delta(
            text=fed.text + rest.text,
            reasoning=fed.reasoning + rest.reasoning,
            tool_calls=fed.tool_calls + rest.tool_calls,
            finish="tool_calls" if self._parser.called and reason == "stop" else reason,
        )

    def _match(self, matched: tuple[str, str | None]) -> str:
        text, stop = matched
        self._stopped = self._stopped or stop is not None
        return text
