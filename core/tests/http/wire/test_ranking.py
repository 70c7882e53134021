from __future__ import annotations

import struct
from typing import Any

import msgspec
import pytest
from swarmgate.chat import Embeddings, EmbedRequest, ModelCard, Usage
from swarmgate.errors import RequestError, UnknownModel
from swarmgate.http.wire.asked import Caller
from swarmgate.http.wire.ranking import RerankBody, ranking, ranking_document
from swarmgate.http.wire.reading import read

CARDS = (ModelCard(name="m", aliases=("alias",), abilities=frozenset({"rerank"})),)
CALLER = Caller(id="r", tag="t", created=7)


def body(**fields: Any) -> RerankBody:
    return read(msgspec.json.encode({"query": "q", "documents": ["a", {"text": "b"}, "c"], **fields}), RerankBody)


def told(scores: list[float], **fields: Any) -> dict[str, Any]:
    asked = body(**fields)
    judged = Embeddings(vectors=tuple(struct.pack("<f", score) for score in scores), usage=Usage(prompt_tokens=9))
    return msgspec.json.decode(ranking_document(judged, ranking(asked, CARDS, CALLER), asked, CALLER))


def test_documents_are_texts_or_have_them() -> None:
    """Both forms are judged by the same query; the model goes by the name it was asked by."""
    assert ranking(body(model="alias"), CARDS, CALLER) == EmbedRequest("r", "alias", ("a", "b", "c"), query="q")
    assert ranking(body(), CARDS, CALLER).model == "m"


def test_the_best_comes_first() -> None:
    """By its index in the request; of equals the one that came first."""
    found = told([0.5, -1.0, 0.5])
    assert [(result["index"], result["relevance_score"]) for result in found["results"]] == [
        (0, 0.5),
        (2, 0.5),
        (1, -1.0),
    ]
    assert found["usage"] == {"prompt_tokens": 9, "total_tokens": 9}
    assert (found["object"], found["model"], found["id"]) == ("list", "m", "rerank-t")
    assert "document" not in found["results"][0]


def test_only_some_may_be_wanted_and_their_texts() -> None:
    """The best of them, each with what it says."""
    found = told([1, 3, 2], top_n=2, return_documents=True)
    assert [(result["index"], result["document"]) for result in found["results"]] == [
        (1, {"text": "b"}),
        (2, {"text": "c"}),
    ]
    assert len(told([1, 3, 2], top_n=9)["results"]) == 3


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"query": ""}, "query"),
        ({"documents": []}, "documents"),
        ({"documents": ["a", ""]}, "documents[1]"),
        ({"documents": [{"title": "a"}]}, "documents[0].text"),
        ({"top_n": 0}, "top_n"),
    ],
)
def test_what_cannot_be_judged_is_named(fields: dict[str, Any], param: str) -> None:
    """The error leads to the field."""
    with pytest.raises(RequestError) as found:
        ranking(body(**fields), CARDS, CALLER)
    assert found.value.param == param


def test_the_model_has_to_be_there() -> None:
    """An unknown name is refused as elsewhere."""
    with pytest.raises(UnknownModel):
        ranking(body(model="other"), CARDS, CALLER)
