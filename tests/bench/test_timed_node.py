from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from sidebyside.timed_node import BLOCK, CHARACTERS, Cache, Engine, document, event, prompt, tokens

SIZE = BLOCK * CHARACTERS


def test_only_whole_blocks_from_the_beginning_are_held() -> None:
    """A block counts if all before it are held, too."""
    cache = Cache()
    assert cache.take("a" * SIZE + "b" * SIZE + "c") == 0
    assert cache.take("a" * SIZE + "b" * SIZE + "d" * SIZE) == 2 * BLOCK
    assert cache.take("x" * SIZE + "b" * SIZE) == 0


def test_what_was_used_longest_ago_goes_first() -> None:
    """And of one prompt the end before the beginning."""
    cache = Cache(3 * BLOCK)
    first, second = "a" * SIZE + "b" * SIZE, "c" * SIZE + "d" * SIZE
    cache.take(first)
    cache.take(second)
    assert cache.take(first) == BLOCK
    assert cache.take(second) == BLOCK


def test_an_answer_has_as_many_tokens_as_are_wanted() -> None:
    """And takes no less time than the machine would need."""

    async def asked() -> tuple[list[int], float, dict[str, int]]:
        engine = Engine(100.0)
        loop = asyncio.get_running_loop()
        began = loop.time()
        written = [count async for count in engine.answer("a" * SIZE, 10)]
        return written, loop.time() - began, engine.counts

    written, seconds, counts = asyncio.run(asked())
    assert written == [1, 8, 1]
    assert seconds >= 10 / (100 * 200)
    assert counts == {"asked": 1, "prompt_tokens": BLOCK, "held_tokens": 0}


@pytest.mark.parametrize("content", ["two", [{"type": "text", "text": "tw"}, {"type": "text", "text": "o"}]])
def test_prompts_are_read_in_either_form(content: Any) -> None:
    """As a text and as parts."""
    assert (
        prompt({"messages": [{"role": "system", "content": "one "}, {"role": "user", "content": content}]}) == "one two"
    )


def test_what_is_sent_is_framed_as_http_wants_it() -> None:
    """Lengths agree with what follows."""
    size, _, rest = event({"content": "a"}).partition(b"\r\n")
    assert len(rest) == int(size, 16) + 2
    assert rest.startswith(b"data: {")
    head, _, body = document("200 OK", {"a": 1}).partition(b"\r\n\r\n")
    assert f"content-length: {len(body)}".encode() in head
    assert msgspec.json.decode(body) == {"a": 1}


def test_tokens_are_the_same_however_they_are_asked_for() -> None:
    """Equal beginnings have equal tokens, in a prompt and in the messages of a chat."""
    whole = tokens({"prompt": "abcdefgh"})
    assert whole["count"] == 2
    assert tokens({"messages": [{"role": "user", "content": "abcd"}]})["tokens"] == whole["tokens"][:1]


def test_it_tells_how_busy_it_is() -> None:
    """In the words that routers look for."""
    assert 'vllm:num_requests_waiting{engine="0",model_name="mock"} 0.0\n' in Engine(1.0).metrics()
