from __future__ import annotations

import base64
import struct
from typing import Any

import msgspec
import pytest
from swarmgate.chat import Embeddings, EmbedRequest, ModelCard, Usage
from swarmgate.errors import RequestError
from swarmgate.http.wire.asked import Caller
from swarmgate.http.wire.embedding import EmbeddingBody, EmbeddingList, embedding, embedding_document
from swarmgate.http.wire.reading import read


def ask(**fields: Any) -> EmbedRequest:
    body = read(msgspec.json.encode(fields), EmbeddingBody)
    return embedding(body, (ModelCard(name="m"),), Caller(id="req_1", tag="tag", created=0))


def test_inputs_come_in_four_forms() -> None:
    """Text, texts, token ids and lists of token ids; dimensions are passed on."""
    assert ask(input="a").inputs == ("a",)
    assert ask(input=["a", "b"]).inputs == ("a", "b")
    assert ask(input=[1, 2]).inputs == ((1, 2),)
    assert ask(input=[[1], [2]], dimensions=3) == EmbedRequest(id="req_1", model="m", inputs=((1,), (2,)), dimensions=3)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "input"),
        ({"input": ""}, "input"),
        ({"input": ["a", ""]}, "input[1]"),
        ({"input": []}, "input"),
        ({"input": ["a"] * 2049}, "input"),
        ({"input": "a", "dimensions": 0}, "dimensions"),
        ({"input": "a", "encoding_format": "hex"}, "encoding_format"),
    ],
)
def test_bad_values_name_their_field(fields: dict[str, Any], param: str) -> None:
    """A value that cannot be is refused, and the error says which field it was."""
    with pytest.raises(RequestError) as found:
        ask(**fields)
    assert found.value.param == param


def test_vectors_travel_both_ways() -> None:
    """Numbers and base64 are the same vector."""
    vector = struct.pack("<2f", 0.5, -0.25)
    embeddings = Embeddings(vectors=(vector,), usage=Usage(prompt_tokens=3))
    floats = msgspec.json.decode(embedding_document(embeddings, "m", "float"), type=EmbeddingList)
    assert floats.data[0].embedding == [0.5, -0.25]
    assert floats.usage.total_tokens == 3
    coded = msgspec.json.decode(embedding_document(embeddings, "m", "base64"), type=EmbeddingList)
    assert coded.data[0].embedding == base64.b64encode(vector).decode()
