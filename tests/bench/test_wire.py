from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from sidebyside.wire import AnswerReader, TokenUsage

EVENTS = (
    b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":null}}]}\n\n'
    b": ping\n\n"
    b'data: {"choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{"content":"lo"}}],"usage":null}\n\n'
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}\n\n'
    b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}\n\n'
    b"data: [DONE]\n\n"
)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunked(body: bytes, size: int) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return HEAD + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@given(st.integers(1, 400), st.integers(1, 400))
def test_text_and_usage_come_out_however_the_bytes_are_cut(chunk: int, read: int) -> None:
    """Neither HTTP chunks nor reads of the socket need to end where events end."""
    reader, pieces = AnswerReader(), list[str]()
    data = chunked(EVENTS, chunk)
    for at in range(0, len(data), read):
        pieces += reader.feed(data[at : at + read])
    assert pieces == ["Hel", "lo"]
    assert reader.usage == TokenUsage(7, 2)
    assert reader.done
    assert not reader.failure


def test_an_error_answer_is_kept_as_failure() -> None:
    """What a server says with another status is there for the report."""
    reader = AnswerReader()
    body = b'{"error": {"message": "queue full"}}'
    assert reader.feed(b"HTTP/1.1 429 Too Many\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)) == []
    assert (reader.status, reader.done) == (429, True)
    assert "queue full" in reader.failure


def test_an_error_inside_a_stream_is_kept_as_failure() -> None:
    """An error event ends a stream that had begun; it is not overlooked."""
    reader = AnswerReader()
    reader.feed(chunked(b'data: {"error":{"message":"the engine died"}}\n\n', 50))
    assert "the engine died" in reader.failure
