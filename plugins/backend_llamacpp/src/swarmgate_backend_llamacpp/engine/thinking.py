"""How models mark their reasoning.  Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Thinking:
    """The marks around reasoning; *opened* if the prompt itself already begins it."""

    opener: str
    closer: str
    opened: bool = False


_KNOWN = (
    ("<think>", "</think>"),
    ("[THINK]", "[/THINK]"),
    ("<seed:think>", "</seed:think>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
)


def thinking_of(source: str, rendered: str) -> Thinking | None:
    """Return how a model with the template *source* reasons after the prompt *rendered*; None if it does not."""
    shown = rendered.rstrip()
    for opener, closer in _KNOWN:
        if opener in source or closer in source:
            return Thinking(opener, closer, opened=shown.endswith(opener))
    return None
