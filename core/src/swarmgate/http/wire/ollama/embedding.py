"""``POST /api/embed`` and ``/api/embeddings``: the requests, and what they are answered with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from msgspec import Meta

from swarmgate.chat import Embeddings, EmbedRequest, ModelCard
from swarmgate.errors import RequestError
from swarmgate.http.wire.asked import Caller
from swarmgate.http.wire.embedding import floats
from swarmgate.http.wire.heading import encode
from swarmgate.http.wire.ollama.documents import EmbeddingDocument, EmbedDocument
from swarmgate.http.wire.ollama.names import meant
from swarmgate.http.wire.reading import INT32_MAX, Body

_MOST_INPUTS = 2048


class EmbedOptions(Body, kw_only=True):
    """None of Ollama's options has a use for embeddings here."""


class EmbedBody(Body, kw_only=True):
    """Texts to be embedded; what is too long is shortened unless *truncate* is false."""

    within: ClassVar[dict[str, type[Body]]] = {"options": EmbedOptions}

    model: Annotated[str, Meta(min_length=1)]
    input: str | list[str] | None = None
    truncate: bool | None = None
    dimensions: Annotated[int, Meta(ge=1, le=INT32_MAX)] | None = None
    options: EmbedOptions | None = None
    keep_alive: float | str | None = None


class EmbeddingsBody(Body, kw_only=True):
    """One text to be embedded, as it was asked before several could be."""

    within: ClassVar[dict[str, type[Body]]] = {"options": EmbedOptions}

    model: Annotated[str, Meta(min_length=1)]
    prompt: str | None = None
    options: EmbedOptions | None = None
    keep_alive: float | str | None = None


def embedding(body: EmbedBody, cards: tuple[ModelCard, ...], caller: Caller) -> EmbedRequest:
    """Translate *body*, of which one of *cards* is asked; there may be no inputs.

    Raises:
        RequestError: there is too much at once.
        UnknownModel: nobody serves the model it names.

    """
    given = [body.input] if isinstance(body.input, str) and body.input else body.input or []
    inputs = tuple(given)
    if len(inputs) > _MOST_INPUTS:
        raise RequestError(
            f"input: expected at most {_MOST_INPUTS} texts, found {len(inputs)}; send several requests", param="input"
        )
    card = meant(cards, body.model)
    return EmbedRequest(id=caller.id, model=card.name, inputs=inputs, dimensions=body.dimensions)


def shortened(whole: Sequence[int], plain: Sequence[int], room: int) -> tuple[int, ...]:
    """Cut the tokens of a text to *room*: *whole* are they with what the model puts around, *plain* without.

    What is around stays.
    """
    if len(whole) <= room:
        return tuple(whole)
    around = len(whole) - len(plain)
    front = next((at for at in range(around + 1) if list(whole[at : at + len(plain)]) == list(plain)), 0)
    back = around - front
    return (*whole[: room - back], *whole[len(whole) - back :])


def embed_document(embeddings: Embeddings, model: str, nanoseconds: int) -> bytes:
    """Return *embeddings* as JSON, which took that long."""
    return encode(
        EmbedDocument(
            model=model,
            embeddings=[floats(vector) for vector in embeddings.vectors],
            total_duration=nanoseconds,
            load_duration=0,
            prompt_eval_count=embeddings.usage.prompt_tokens,
        )
    )


def embedding_document(embeddings: Embeddings) -> bytes:
    """Return the only vector of *embeddings* as JSON, an empty one if there is none."""
    vectors = [floats(vector) for vector in embeddings.vectors]
    return encode(EmbeddingDocument(embedding=vectors[0] if vectors else []))
