"""Answers that come as one document: vectors, tokens, text; pure."""

from __future__ import annotations

import array
import base64
import binascii
import math
import struct
import sys
from typing import TypeVar

import msgspec
from swarmgate.api import Embeddings, EngineError, Token, Unsupported, Usage

T = TypeVar("T")
_FLOAT = 4
_SLACK = 1e-3


class _Item(msgspec.Struct):
    embedding: list[float] | str
    index: int | None = None


class _Counts(msgspec.Struct):
    prompt_tokens: int = 0


class _Vectors(msgspec.Struct):
    data: list[_Item]
    usage: _Counts | None = None


class _Ranked(msgspec.Struct):
    index: int
    relevance_score: float


class _Ranking(msgspec.Struct):
    results: list[_Ranked]
    usage: _Counts | None = None


class _Piece(msgspec.Struct):
    id: int
    piece: str | list[int]


class _Tokens(msgspec.Struct):
    tokens: list[int | _Piece]


class _Text(msgspec.Struct):
    content: str | None = None
    prompt: str | None = None


def read_vectors(who: str, body: bytes, count: int) -> Embeddings:
    """Read *count* vectors, as numbers or as base64, and make each of unit length.

    Raises:
        EngineError: there are others.

    """
    found = _decoded(who, body, _Vectors)
    if len(found.data) != count:
        raise EngineError(f"{who} was asked for {count} vectors and sent {len(found.data)}")
    items = sorted(enumerate(found.data), key=lambda pair: pair[0] if pair[1].index is None else pair[1].index)
    try:
        vectors = tuple(_unit(_floats(item.embedding)) for _, item in items)
    except (ValueError, binascii.Error, OverflowError) as error:
        raise EngineError(f"{who} sent vectors that cannot be read: {error}") from None
    counted = found.usage.prompt_tokens if found.usage else 0
    return Embeddings(vectors=vectors, usage=Usage(prompt_tokens=max(counted, 0)))


def read_scores(who: str, body: bytes, count: int) -> Embeddings:
    """Read how *count* texts were judged, in the order in which they were sent.

    Raises:
        EngineError: it says it of others.

    """
    found = _decoded(who, body, _Ranking)
    scores = {ranked.index: ranked.relevance_score for ranked in found.results}
    if scores.keys() != set(range(count)) or len(found.results) != count:
        raise EngineError(f"{who} was asked to judge {count} texts and judged {len(found.results)}, or others")
    try:
        vectors = tuple(struct.pack("<f", scores[index]) for index in range(count))
    except OverflowError as error:
        raise EngineError(f"{who} sent scores that cannot be read: {error}") from None
    counted = found.usage.prompt_tokens if found.usage else 0
    return Embeddings(vectors=vectors, usage=Usage(prompt_tokens=max(counted, 0)))


def read_tokens(who: str, body: bytes, *, bare: bool = False) -> tuple[Token, ...]:
    """Read tokens and what each stands for, which may be missing if they may be *bare*.

    Raises:
        EngineError: there are none.
        Unsupported: the server does not say what they stand for.

    """
    found = _decoded(who, body, _Tokens)
    tokens: list[Token] = []
    for entry in found.tokens:
        if isinstance(entry, int) and bare:
            tokens.append(Token(id=entry, data=b""))
            continue
        if isinstance(entry, int):
            raise Unsupported(f"{who} does not say what its tokens stand for")
        try:
            data = entry.piece.encode() if isinstance(entry.piece, str) else bytes(entry.piece)
        except ValueError:
            raise EngineError(f"{who} sent a token whose bytes are none: {entry.piece!r}") from None
        tokens.append(Token(id=entry.id, data=data))
    return tuple(tokens)


def read_text(who: str, body: bytes) -> bytes:
    """Read the text of tokens.

    Raises:
        EngineError: there is none.

    """
    found = _decoded(who, body, _Text)
    text = found.content if found.content is not None else found.prompt
    if text is None:
        raise EngineError(f"{who} sent no text for the tokens")
    return text.encode()


def _decoded(who: str, body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise EngineError(f"{who} sent garbage: {error}") from None


def _floats(embedding: list[float] | str) -> array.array[float]:
    if not isinstance(embedding, str):
        return array.array("f", embedding)
    data = base64.b64decode(embedding, validate=True)
    if len(data) % _FLOAT:
        raise ValueError(f"{len(data)} bytes are no float32 numbers")
    floats = array.array("f", data)
    if sys.byteorder == "big":
        floats.byteswap()
    return floats


def _unit(floats: array.array[float]) -> bytes:
    length = math.sqrt(math.fsum(number * number for number in floats))
    if not math.isfinite(length):
        raise ValueError("there are numbers in them that are none")
    if length and abs(length - 1.0) > _SLACK:
        floats = array.array("f", [number / length for number in floats])
    if sys.byteorder == "big":
        floats.byteswap()
    return floats.tobytes()
