from __future__ import annotations

import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.chat import Embeddings, EmbedRequest, ModelCard, Usage
from swarmgate.errors import RequestError
from swarmgate.http.wire.asked import Caller
from swarmgate.http.wire.ollama.documents import EmbeddingDocument, EmbedDocument
from swarmgate.http.wire.ollama.embedding import (
    EmbedBody,
    EmbeddingsBody,
    embed_document,
    embedding,
    embedding_document,
    shortened,
)
from swarmgate.http.wire.reading import ignored, read

_CARDS = (ModelCard(name="m"),)
_CALLER = Caller(id="r", tag="t", created=7)
_VECTORS = Embeddings(
    vectors=(struct.pack("<2f", 1.0, 0.0), struct.pack("<2f", 0.0, 1.0)), usage=Usage(prompt_tokens=5)
)


def ask(**fields: Any) -> EmbedRequest:
    return embedding(read(msgspec.json.encode({"model": "m:latest", **fields}), EmbedBody), _CARDS, _CALLER)


def test_one_text_or_several() -> None:
    """No text, or an empty one alone, is none."""
    assert ask(input="a", dimensions=4) == EmbedRequest(id="r", model="m", inputs=("a",), dimensions=4)
    assert ask(input=["a", ""]).inputs == ("a", "")
    assert ask(input="").inputs == ask(input=[]).inputs == ask().inputs == ()
    with pytest.raises(RequestError, match="at most 2048 texts, found 2049"):
        ask(input=["a"] * 2049)


@given(front=st.integers(0, 2), back=st.integers(0, 2), length=st.integers(0, 30), room=st.integers(4, 30))
def test_a_text_is_cut_within_what_is_put_around(front: int, back: int, length: int, room: int) -> None:
    """What the model puts before and after stays; what fits is left alone."""
    plain = list(range(100, 100 + length))
    whole = [1] * front + plain + [2] * back
    found = shortened(whole, plain, room)
    assert len(found) == min(len(whole), room)
    assert list(found[:front]) == [1] * front
    assert list(found[len(found) - back :]) == [2] * back
    assert list(found[front : len(found) - back]) == plain[: len(found) - front - back]


def test_vectors_are_lists_of_numbers() -> None:
    """All of them, or the only one."""
    document = embed_document(_VECTORS, "m:latest", 9)
    assert msgspec.json.decode(document, type=EmbedDocument) == EmbedDocument(
        model="m:latest",
        embeddings=[[1.0, 0.0], [0.0, 1.0]],
        total_duration=9,
        load_duration=0,
        prompt_eval_count=5,
    )
    assert msgspec.json.decode(embedding_document(_VECTORS), type=EmbeddingDocument).embedding == [1.0, 0.0]
    assert embedding_document(Embeddings(vectors=(), usage=Usage())) == b'{"embedding":[]}'


@pytest.mark.parametrize("kind", [EmbedBody, EmbeddingsBody])
def test_options_without_use_are_named(kind: type[EmbedBody | EmbeddingsBody]) -> None:
    """Ollama's are about how a model is loaded."""
    assert ignored(b'{"model":"m","options":{"num_ctx":7},"keep_alive":"5m"}', kind) == ("options.num_ctx",)
