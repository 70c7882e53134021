"""Vocabularies small enough for a test and real enough for llama.cpp's tokenizers.  Pure."""

from __future__ import annotations

import functools
import itertools
import re
import string
from collections import Counter
from dataclasses import dataclass

from gguf import TokenType

#: What the byte pairs are learnt from: prose, code and JSON in small doses.
TEXT = """
The gateway listens for requests and gives each one to a machine that can answer it. When a machine goes away,
another goes on with the answer where the first one stopped, and the reader of the stream does not notice. A long
prompt is read in pieces, so that the others who are waiting for their next word do not have to wait for all of it.
What was read once is kept, and whoever begins with the same words need not wait at all. You are a helpful
assistant. What is the capital of France? The capital of France is Paris. How is the weather in London today? It is
raining, and the wind is from the west. Write a short story about a small robot that learns to paint. Once upon a
time there was a robot in a house by the sea.
{"name": "get_weather", "arguments": {"city": "Paris", "unit": "celsius"}}
{"type": "object", "properties": {"answer": 42}}
def add(first, second):
    return first + second
for number in range(10):
    print(number, add(number, 1))
"""
_WORD = re.compile(r" ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Tokens as the file spells them, their kinds, the merges, and the ids of the special ones."""

    tokens: tuple[str, ...]
    kinds: tuple[TokenType, ...]
    merges: tuple[str, ...]
    special: dict[str, int]

    def __len__(self) -> int:
        return len(self.tokens)

    def with_pieces(self, pieces: tuple[str, ...]) -> tuple[Vocabulary, tuple[int, ...]]:
        """Return a vocabulary in which each of *pieces* is one token, and the pieces' ids."""
        tokens, kinds = list(self.tokens), list(self.kinds)
        ids = {token: number for number, token in enumerate(tokens)}
        spelt = [piece if piece in self.special else spell(piece) for piece in pieces]
        for piece in spelt:
            if piece not in ids:
                ids[piece] = len(tokens)
                tokens.append(piece)
                kinds.append(TokenType.NORMAL)
        grown = Vocabulary(tuple(tokens), tuple(kinds), self.merges, self.special)
        return grown, tuple(ids[piece] for piece in spelt)


@functools.cache
def byte_letters() -> tuple[str, ...]:
    """Return the visible letter with which GPT-2's vocabulary spells each byte."""
    plain = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = iter(range(256, 512))
    return tuple(chr(byte) if byte in plain else chr(next(others)) for byte in range(256))


def spell(text: str) -> str:
    """Spell *text* in the letters of :func:`byte_letters`."""
    letters = byte_letters()
    return "".join(letters[byte] for byte in text.encode())


@functools.cache
def byte_pair_vocabulary(merges: int = 320) -> Vocabulary:
    """Learn a GPT-2 vocabulary: three special tokens, all 256 bytes, and up to *merges* learnt pairs."""
    words = {tuple(spell(word)): times for word, times in Counter(_WORD.findall(TEXT)).items()}
    learnt: list[tuple[str, str]] = []
    while len(learnt) < merges:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, times in words.items():
            for pair in itertools.pairwise(word):
                pairs[pair] += times
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        learnt.append(best)
        words = {_merged(word, best): times for word, times in words.items()}
    special = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    joined = dict.fromkeys(first + second for first, second in learnt)
    tokens = (*special, *byte_letters(), *joined)
    kinds = (TokenType.CONTROL,) * len(special) + (TokenType.NORMAL,) * (len(tokens) - len(special))
    spelt_merges = tuple(f"{first} {second}" for first, second in learnt)
    return Vocabulary(tokens, kinds, spelt_merges, {token: number for number, token in enumerate(special)})


def _merged(word: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    out: list[str] = []
    index = 0
    while index < len(word):
        if word[index : index + 2] == pair:
            out.append(pair[0] + pair[1])
            index += 2
        else:
            out.append(word[index])
            index += 1
    return tuple(out)


@functools.cache
def word_piece_vocabulary() -> Vocabulary:
    """Return a WordPiece vocabulary: BERT's special tokens, the words of the text, and every ASCII character.

    As llama.cpp wants it: what begins a word has a leading ``U+2581``, what goes on has none.
    """
    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    words = dict.fromkeys(re.findall(r"[a-z]+", TEXT.lower()))
    single = string.ascii_lowercase + string.digits
    begins = dict.fromkeys("\u2581" + piece for piece in (*single, *string.punctuation, *words))
    tokens = (*special, *begins, *single)
    kinds = (TokenType.CONTROL,) * len(special) + (TokenType.NORMAL,) * (len(tokens) - len(special))
    return Vocabulary(tokens, kinds, (), {token: number for number, token in enumerate(special)})
