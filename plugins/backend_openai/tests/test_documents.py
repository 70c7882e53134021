from __future__ import annotations

import base64
import json
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.api import EngineError, SwarmgateError, Token, Unsupported
from swarmgate_backend_openai.documents import read_scores, read_text, read_tokens, read_vectors


def vectors(*entries: object, **more: object) -> bytes:
    data = [{"object": "embedding", "index": index, "embedding": entry} for index, entry in enumerate(entries)]
    return json.dumps({"data": data, **more}).encode()


def test_vectors_come_as_numbers_or_base64() -> None:
    """Both become the same little-endian bytes; the order is the index's."""
    packed = struct.pack("<2f", 0.6, 0.8)
    body = vectors([0.6, 0.8], base64.b64encode(packed).decode(), usage={"prompt_tokens": 5})
    found = read_vectors("n", body, 2)
    assert found.vectors == (packed, packed)
    assert found.usage.prompt_tokens == 5
    turned = {"data": [{"index": 1, "embedding": [1.0]}, {"index": 0, "embedding": [-1.0]}]}
    assert read_vectors("n", json.dumps(turned).encode(), 2).vectors == (struct.pack("<f", -1), struct.pack("<f", 1))


def scores(*entries: tuple[int, object], **more: object) -> bytes:
    results = [{"index": index, "relevance_score": score, "document": {"text": "x"}} for index, score in entries]
    return json.dumps({"results": results, **more}).encode()


def test_scores_are_put_in_order() -> None:
    """They come the best first, and are wanted as the texts were sent."""
    found = read_scores("n", scores((1, 0.5), (0, -2), usage={"prompt_tokens": 5, "total_tokens": 5}), 2)
    assert [struct.unpack("<f", vector)[0] for vector in found.vectors] == [-2.0, 0.5]
    assert found.usage.prompt_tokens == 5
    assert read_scores("n", scores((0, 1)), 1).usage.prompt_tokens == 0


@pytest.mark.parametrize(
    "body",
    [
        scores((0, 1)),
        scores((0, 1), (0, 2)),
        scores((0, 1), (2, 2)),
        scores((0, 1), (1, 2), (1, 3)),
        scores((0, 1), (1, 1e300)),
        scores((0, 1), (1, "x")),
        b"[]",
    ],
)
def test_scores_of_others_are_an_error(body: bytes) -> None:
    """Too few, too many, twice the same, or none at all."""
    with pytest.raises(EngineError, match=r"^n "):
        read_scores("n", body, 2)


@given(
    st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=8).filter(lambda xs: any(abs(x) > 1e-3 for x in xs))
)
def test_vectors_have_unit_length(numbers: list[float]) -> None:
    """Whatever the server makes of that."""
    (vector,) = read_vectors("n", vectors(numbers), 1).vectors
    assert math.hypot(*struct.unpack(f"<{len(numbers)}f", vector)) == pytest.approx(1.0, abs=2e-3)


@pytest.mark.parametrize(
    "body", [b"{", vectors(), vectors([1.0], [2.0]), vectors("***"), vectors("AAA="), vectors([1e300])]
)
def test_other_vectors_are_an_error(body: bytes) -> None:
    """Too few, too many, or none that can be read."""
    with pytest.raises(EngineError, match=r"^n "):
        read_vectors("n", body, 1)


def test_tokens_come_with_what_they_stand_for() -> None:
    """Text, or bytes where they are no whole characters."""
    body = b'{"tokens": [{"id": 1, "piece": "a"}, {"id": 2, "piece": [195]}]}'
    assert read_tokens("n", body) == (Token(id=1, data=b"a"), Token(id=2, data=b"\xc3"))
    with pytest.raises(Unsupported, match="does not say what its tokens stand for"):
        read_tokens("n", b'{"tokens": [1, 2]}')
    assert read_tokens("n", b'{"tokens": [1, 2]}', bare=True) == (Token(id=1, data=b""), Token(id=2, data=b""))
    with pytest.raises(EngineError, match="bytes are none"):
        read_tokens("n", b'{"tokens": [{"id": 2, "piece": [999]}]}')


def test_text_comes_under_either_name() -> None:
    """llama-server's, or vLLM's."""
    assert read_text("n", '{"content": "ä"}'.encode()) == "ä".encode()
    assert read_text("n", b'{"prompt": "a"}') == b"a"
    with pytest.raises(EngineError, match="no text"):
        read_text("n", b"{}")


@given(st.binary(max_size=60))
def test_no_document_breaks_it(body: bytes) -> None:
    """Noise is an error of ours."""
    for read in (lambda: read_vectors("n", body, 1), lambda: read_tokens("n", body), lambda: read_text("n", body)):
        with pytest.raises(SwarmgateError):
            read()
