"""An answer of the running gateway, piece by piece as it is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple
from urllib.parse import quote

import msgspec

from swarmgate.cli.running import ask, reason_of
from swarmgate.cli.streaming import Answered, opened
from swarmgate.config.settings import Settings
from swarmgate.errors import EngineError

CHATS = "/v1/chat/completions"
_OK = 200
_DONE = b"[DONE]"


class Piece(NamedTuple):
    """A piece of what the model writes: of its answer, or of what it thinks before."""

    kind: Literal["text", "reasoning"]
    text: str


class _Fragment(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Fragment
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Error(msgspec.Struct):
    message: str = ""


class Chunk(msgspec.Struct):
    """An event of a streamed chat, as much of it as is read here."""

    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: _Error | None = None


class _Account(msgspec.Struct):
    worker: str = ""
    resumed: int = 0


@dataclass(slots=True)
class Told:
    """What is known of an answer besides its text: who gave it, how it ended, how often it was carried on elsewhere."""

    request_id: str = ""
    worker: str = ""
    finish: str = ""
    prompt_tokens: int = 0
    tokens: int = 0
    resumed: int = 0


def pieces(settings: Settings, order: dict[str, Any], told: Told, *, session: str = "") -> Iterator[Piece]:
    """Yield the pieces of the answer to *order*, and note in *told* what is learnt on the way.

    Raises:
        Unreachable: nobody answers at the configured address, or the connection broke.
        EngineError: it was refused, or failed on the way; the message is the gateway's.

    """
    headers = {"X-Session-ID": session} if session else {}
    with opened(settings, CHATS, order, headers=headers) as answered:
        if answered.status != _OK:
            raise EngineError(reason_of(answered.said()))
        told.request_id, told.worker = answered.header("X-Request-ID"), answered.header("X-Gateway-Worker")
        yield from _read(answered, told)


def look_up(settings: Settings, told: Told) -> None:
    """Learn from the gateway's records who answered in the end, if it keeps any."""
    said = ask(settings, f"/v1/requests/{quote(told.request_id, safe='/:@+=')}")
    try:
        account = msgspec.json.decode(said.body, type=_Account) if said.status == _OK else None
    except msgspec.MsgspecError:
        account = None
    if account is not None:
        told.worker, told.resumed = account.worker or told.worker, account.resumed


def _read(answered: Answered, told: Told) -> Iterator[Piece]:
    for event in answered.events():
        if event.data == _DONE:
            return
        try:
            chunk = msgspec.json.decode(event.data, type=Chunk)
        except msgspec.MsgspecError:
            continue  # an event of a kind that is not known here
        if chunk.error is not None:
            raise EngineError(chunk.error.message or "the answer broke off")
        if chunk.usage is not None:
            told.prompt_tokens, told.tokens = chunk.usage.prompt_tokens, chunk.usage.completion_tokens
        for choice in chunk.choices:
            told.finish = choice.finish_reason or told.finish
            if choice.delta.reasoning_content:
                yield Piece("reasoning", choice.delta.reasoning_content)
            if choice.delta.content:
                yield Piece("text", choice.delta.content)
    raise EngineError("the answer broke off")
