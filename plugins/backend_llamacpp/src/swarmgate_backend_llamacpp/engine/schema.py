"""JSON schemas to grammars (GBNF) that make a model write what obeys them.  Pure."""

from __future__ import annotations

from swarmgate.api import ResponseFormat


def grammar_of(response_format: ResponseFormat) -> str:
    """Return the grammar of *response_format*; empty for free text."""
    return ""
