"""``POST /v1/rerank``: the request in Jina's and Cohere's words, and the document it is answered with."""

from __future__ import annotations

import struct
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from swarmgate.chat import Embeddings, EmbedRequest, ModelCard
from swarmgate.errors import RequestError
from swarmgate.http.wire.asked import Caller, chosen
from swarmgate.http.wire.heading import encode
from swarmgate.http.wire.reading import INT32_MAX, Body

_MOST_DOCUMENTS = 2048


class TextDocument(Struct, kw_only=True):
    """A document that is more than its text; nothing else of it is read."""

    text: str


class RerankBody(Body, kw_only=True):
    """Documents to be judged by a *query*; *top_n* is how many of the best are wanted."""

    query: Annotated[str, Meta(min_length=1)]
    documents: Annotated[list[str | TextDocument], Meta(min_length=1, max_length=_MOST_DOCUMENTS)]
    model: str | None = None
    top_n: Annotated[int, Meta(ge=1, le=INT32_MAX)] | None = None
    return_documents: bool | None = None


class RankedDocument(Struct, kw_only=True):
    """A document by its *index* in the request; its score is the model's own number."""

    index: int
    relevance_score: float
    document: TextDocument | UnsetType = UNSET


class RankingUsage(Struct, kw_only=True):
    """Token counts of all documents together, each with the query."""

    prompt_tokens: int
    total_tokens: int


class Ranking(Struct, kw_only=True):
    """The documents, the most relevant first."""

    id: str
    object: str = "list"
    model: str
    results: list[RankedDocument]
    usage: RankingUsage


def ranking(body: RerankBody, cards: tuple[ModelCard, ...], caller: Caller) -> EmbedRequest:
    """Translate *body*, of which one of *cards* is asked.

    Raises:
        RequestError: a document is empty; *param* says which.
        UnknownModel: nobody serves the model it names.

    """
    card = chosen(cards, body.model)
    texts = tuple(document if isinstance(document, str) else document.text for document in body.documents)
    for index, text in enumerate(texts):
        if not text:
            param = f"documents[{index}]"
            raise RequestError(f"{param}: expected something to judge, found an empty text", param=param)
    return EmbedRequest(id=caller.id, model=body.model or card.name, inputs=texts, query=body.query)


def ranking_document(judged: Embeddings, request: EmbedRequest, body: RerankBody, caller: Caller) -> bytes:
    """Return what was *judged* as JSON: the best first, of equals the one that came first."""
    scores = [struct.unpack("<f", vector)[0] for vector in judged.vectors]
    order = sorted(range(len(scores)), key=lambda index: -scores[index])[: body.top_n]
    results = [RankedDocument(index=index, relevance_score=scores[index]) for index in order]
    if body.return_documents:
        for result in results:
            result.document = TextDocument(text=str(request.inputs[result.index]))
    tokens = judged.usage.prompt_tokens
    return encode(
        Ranking(
            id=f"rerank-{caller.tag}",
            model=request.model,
            results=results,
            usage=RankingUsage(prompt_tokens=tokens, total_tokens=tokens),
        )
    )
