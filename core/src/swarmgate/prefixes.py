"""Which place likely holds which beginnings of prompts: the gateway's own record of what it sent where.  Pure.

A prompt is cut into blocks of characters, and each block is named by a hash over all of the prompt up
to its end.  So one name stands for a whole beginning, and to hold it is to hold all before it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from hashlib import blake2b

import msgspec

from swarmgate.chat import ChatPrompt, Message, Prompt, TextPrompt, TokenPrompt

#: A block's length; at four characters to a token, as :func:`~swarmgate.chat.estimated_tokens` has it.
BLOCK_TOKENS = 128
BLOCK_CHARACTERS = 4 * BLOCK_TOKENS
#: What is beyond is not named: longer prompts are told apart well enough, and hashing must stay cheap (1 ms).
MOST_BLOCKS = 1024
#: How many tokens a place is taken to hold whose card does not say.
DEFAULT_TOKENS = 131_072


def blocks_of(prompt: Prompt) -> tuple[int, ...]:
    """Return the names of the beginnings of *prompt*, shortest first; what is left of a block at the end has none."""
    match prompt:
        case TokenPrompt(ids=ids):
            whole = len(ids) // BLOCK_TOKENS
            pieces = (
                msgspec.msgpack.encode(ids[number * BLOCK_TOKENS : (number + 1) * BLOCK_TOKENS])
                for number in range(min(whole, MOST_BLOCKS))
            )
        case TextPrompt(text=text):
            pieces = _cut(text)
        case ChatPrompt():
            pieces = _cut(_text_of(prompt))
    return tuple(_chain(pieces))


class Prefixes:
    """Remembers the beginnings sent to one place, as many as it may hold, the latest used longest."""

    def __init__(self, capacity_tokens: int = DEFAULT_TOKENS) -> None:
        self._capacity = max(capacity_tokens // BLOCK_TOKENS, 1)
        self._held: dict[int, None] = {}

    def __repr__(self) -> str:
        return f"<Prefixes, {len(self._held)} of {self._capacity} blocks>"

    def held_tokens(self, blocks: Sequence[int]) -> int:
        """Return how many tokens of the prompt of *blocks* the place likely holds."""
        # What is held is held with all before it (see add), so the first one missing can be searched for by halves.
        return BLOCK_TOKENS * bisect_left(blocks, 1, key=lambda block: block not in self._held)

    def add(self, blocks: Sequence[int]) -> None:
        """Take note that the place has been sent the prompt of *blocks*."""
        for block in reversed(blocks[: self._capacity]):  # the longest becomes the oldest, and is forgotten first
            self._held.pop(block, None)
            self._held[block] = None
        while len(self._held) > self._capacity:
            del self._held[next(iter(self._held))]

    def clear(self) -> None:
        """Forget everything: the place has likely lost its memory."""
        self._held.clear()


def _chain(pieces: Iterator[bytes]) -> Iterator[int]:
    before = b""
    for piece in pieces:
        before = blake2b(piece, digest_size=8, key=before).digest()
        yield int.from_bytes(before, "little")


def _cut(text: str) -> Iterator[bytes]:
    for number in range(min(len(text) // BLOCK_CHARACTERS, MOST_BLOCKS)):
        piece = text[number * BLOCK_CHARACTERS : (number + 1) * BLOCK_CHARACTERS]
        yield piece.encode("utf-8", "surrogatepass")


def _text_of(prompt: ChatPrompt) -> str:
    """Return what of *prompt* a template would show, in about the order most of them show it."""
    parts = [msgspec.json.encode(prompt.tools).decode()] if prompt.tools else []
    length = sum(map(len, parts))
    for message in prompt.messages:
        if length >= MOST_BLOCKS * BLOCK_CHARACTERS:
            break
        part = _said(message)
        parts.append(part)
        length += len(part)
    return "".join(parts)


def _said(message: Message) -> str:
    calls = "".join(f"{call.name}{call.arguments}" for call in message.tool_calls)
    return f"\n{message.role}\n{message.content}{calls}"
