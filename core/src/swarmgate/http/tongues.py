"""The dialects that are spoken at the door, and who is spoken to in which.  Pure."""

from __future__ import annotations

from swarmgate.http.wire.anthropic.errors import MESSAGES
from swarmgate.http.wire.dialect import OPENAI, Dialect
from swarmgate.http.wire.ollama.errors import LINES

#: All but OpenAI's, which is spoken wherever none of these is.
OTHERS: tuple[Dialect, ...] = (MESSAGES, LINES)


def spoken_at(path: str) -> Dialect:
    """Return the dialect of clients who ask for *path*, whether anything is served there or not."""
    return next((dialect for dialect in OTHERS if dialect.spoken_at(path)), OPENAI)
