"""What a request comes to: the answers to write, and the form they go out in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from swarmgate.chat import Delta, GenerateRequest, ModelCard, Usage
from swarmgate.errors import RequestError, UnknownModel
from swarmgate.http.wire.errors import Fault

_SHOWN = 8


class Form(Protocol):
    """Turns pieces of answers into the bytes a client gets; one per request."""

    def take(self, choice: int, delta: Delta) -> bytes:
        """Return what to send for a piece of that choice; nothing, for some."""
        ...

    def close(self) -> bytes:
        """Return what to send when all choices have finished."""
        ...

    @property
    def usage(self) -> Usage:
        """Return the tokens counted so far."""
        ...


@dataclass(frozen=True, slots=True)
class Generating:
    """Answers to write at the same time, one for each choice, streamed or not.

    *echo*, if there is one, wants the text of every request's prompt before the first piece.  *failure*, if there is
    one, is what a stream says that fails after its head: for forms whose errors tell what came before them.
    """

    requests: tuple[GenerateRequest, ...]
    form: Form
    stream: bool
    echo: Callable[[tuple[str, ...]], None] | None = None
    failure: Callable[[Fault], bytes] | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """What is known of a request besides its body.

    *id* is the request's, for logs; *tag* makes the answer's id unique; *session* is the
    ``X-Session-ID`` header, or empty; *created* the time in seconds since 1970.  *tokens* says
    that a gateway asks, which wants to know the tokens.
    """

    id: str
    tag: str
    created: int
    session: str = ""
    tokens: bool = False

    def session_of(self, *keys: str | None) -> str:
        """Return the header's session, else the first of *keys* that says something."""
        return next((key for key in (self.session, *keys) if key), "")


def chosen(cards: tuple[ModelCard, ...], name: str | None) -> ModelCard:
    """Return the card of the model called *name*, or the only one if the request names none.

    Raises:
        RequestError: there is no name, and not exactly one model.
        UnknownModel: nobody serves that name.

    """
    if not name:
        if len(cards) == 1:
            return cards[0]
        raise RequestError(f"model: required, but missing; served here: {_served(cards)}", param="model")
    for card in cards:
        if name == card.name or name in card.aliases:
            return card
    raise UnknownModel(f"no model is called {name!r}; served here: {_served(cards)}", param="model")


def _served(cards: tuple[ModelCard, ...]) -> str:
    names = [repr(card.name) for card in cards[:_SHOWN]]
    if len(cards) > _SHOWN:
        names.append(f"and {len(cards) - _SHOWN} more (see /v1/models)")
    return ", ".join(names) or "none"
