"""``POST /v1/embeddings``: the request, and the document it is answered with."""

from __future__ import annotations

import base64
import sys
from array import array
from typing import Annotated, Literal

from msgspec import Meta, Struct

from swarmgate.chat import Embeddings, EmbedRequest, ModelCard
from swarmgate.errors import RequestError
from swarmgate.http.wire.asked import Caller, chosen
from swarmgate.http.wire.completion import Texts, texts_or_ids
from swarmgate.http.wire.heading import encode
from swarmgate.http.wire.reading import INT32_MAX, Body

_MOST_INPUTS = 2048


class EmbeddingBody(Body, kw_only=True):
    """Texts, or lists of token ids, to be embedded."""

    input: Texts
    model: str | None = None
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Meta(ge=1, le=INT32_MAX)] | None = None
    user: str | None = None


class EmbeddingItem(Struct, kw_only=True):
    """One vector: numbers, or the base64 of little-endian float32."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingUsage(Struct, kw_only=True):
    """Token counts of all inputs together."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(Struct, kw_only=True):
    """A vector for each input, in order."""

    object: Literal["list"] = "list"
    data: list[EmbeddingItem]
    model: str
    usage: EmbeddingUsage


def embedding(body: EmbeddingBody, cards: tuple[ModelCard, ...], caller: Caller) -> EmbedRequest:
    """Translate *body*, of which one of *cards* is asked.

    Raises:
        RequestError: there is nothing to embed, or too much at once; *param* says where.
        UnknownModel: nobody serves the model it names.

    """
    card = chosen(cards, body.model)
    inputs = texts_or_ids(body.input, "input")
    if len(inputs) > _MOST_INPUTS:
        raise RequestError(
            f"input: expected at most {_MOST_INPUTS} entries, found {len(inputs)}; send several requests", param="input"
        )
    for index, entry in enumerate(inputs):
        if not entry:
            param = "input" if isinstance(body.input, str) else f"input[{index}]"
            raise RequestError(f"{param}: expected something to embed, found an empty text", param=param)
    return EmbedRequest(id=caller.id, model=body.model or card.name, inputs=inputs, dimensions=body.dimensions)


def embedding_document(embeddings: Embeddings, model: str, encoding: Literal["float", "base64"] | None) -> bytes:
    """Return *embeddings* as JSON, each vector in the *encoding* that was asked for."""
    return encode(
        EmbeddingList(
            data=[
                EmbeddingItem(index=index, embedding=_base64(vector) if encoding == "base64" else floats(vector))
                for index, vector in enumerate(embeddings.vectors)
            ],
            model=model,
            usage=EmbeddingUsage(
                prompt_tokens=embeddings.usage.prompt_tokens, total_tokens=embeddings.usage.prompt_tokens
            ),
        )
    )


def _base64(vector: bytes) -> str:
    return base64.b64encode(vector).decode()


def floats(vector: bytes) -> list[float]:
    """Return the numbers of a *vector* of little-endian float32."""
    numbers = array("f", vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()
