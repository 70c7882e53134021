"""The shapes of Ollama's answers, as they are sent and as the OpenAPI document describes them."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from swarmgate.chat import TokenLogprob
from swarmgate.http.wire.chat_documents import finite, spoken

DoneReason = Literal["stop", "length", "load"]


class CalledFunctionDocument(Struct, kw_only=True):
    """A function's name and the arguments the model wrote."""

    index: int
    name: str
    arguments: dict[str, Any]


class CallDocument(Struct, kw_only=True):
    """A call the model makes."""

    id: str
    function: CalledFunctionDocument


class SaidMessage(Struct, kw_only=True):
    """What the model says, or more of it."""

    role: Literal["assistant"] = "assistant"
    content: str = ""
    thinking: str | UnsetType = UNSET
    tool_calls: list[CallDocument] | UnsetType = UNSET


class TopToken(Struct, kw_only=True):
    """A token that might have been, and its natural-log probability."""

    token: str
    logprob: float
    bytes: list[int]


class TokenDocument(Struct, kw_only=True):
    """A token, its natural-log probability, and the likeliest ones there."""

    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[TopToken] | UnsetType = UNSET


class Line(Struct, kw_only=True):
    """What a line of a stream, or all of an answer, has in common; the counts come with *done*.

    Durations are in nanoseconds, seen from the gateway: *prompt_eval_duration* is the time until the first piece,
    *eval_duration* what came after.
    """

    model: str
    created_at: str
    done: bool
    done_reason: DoneReason | UnsetType = UNSET
    total_duration: int | UnsetType = UNSET
    load_duration: int | UnsetType = UNSET
    prompt_eval_count: int | UnsetType = UNSET
    prompt_eval_duration: int | UnsetType = UNSET
    eval_count: int | UnsetType = UNSET
    eval_duration: int | UnsetType = UNSET
    logprobs: list[TokenDocument] | UnsetType = UNSET


class ChatLine(Line, kw_only=True):
    """A piece of a chat's answer, or all of it."""

    message: SaidMessage


class GenerateLine(Line, kw_only=True):
    """A piece of a text, or all of it."""

    response: str = ""
    thinking: str | UnsetType = UNSET


class EmbedDocument(Struct, kw_only=True):
    """A vector for each input, in order; durations are in nanoseconds."""

    model: str
    embeddings: list[list[float]]
    total_duration: int
    load_duration: int
    prompt_eval_count: int


class EmbeddingDocument(Struct, kw_only=True):
    """One vector, as it was answered before several could be asked."""

    embedding: list[float]


def logprob_documents(entries: tuple[TokenLogprob, ...]) -> list[TokenDocument]:
    """Return *entries* in Ollama's form."""
    return [
        TokenDocument(
            token=spoken(entry.data),
            logprob=finite(entry.logprob),
            bytes=list(entry.data),
            top_logprobs=[
                TopToken(token=spoken(top.data), logprob=finite(top.logprob), bytes=list(top.data)) for top in entry.top
            ]
            or UNSET,
        )
        for entry in entries
    ]
