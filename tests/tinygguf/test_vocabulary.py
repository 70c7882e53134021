from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tinygguf.vocabulary import Vocabulary, byte_letters, byte_pair_vocabulary, spell, word_piece_vocabulary


def test_every_byte_is_a_token() -> None:
    """Any text at all can be written in the byte-level vocabulary."""
    assert set(byte_letters()) <= set(byte_pair_vocabulary().tokens)
    assert len(set(byte_letters())) == 256


@pytest.mark.parametrize("vocabulary", [byte_pair_vocabulary(), byte_pair_vocabulary(10), word_piece_vocabulary()])
def test_no_token_stands_twice(vocabulary: Vocabulary) -> None:
    """A vocabulary is a bijection, and its special ids point at what they name."""
    assert len(set(vocabulary.tokens)) == len(vocabulary) == len(vocabulary.kinds)
    assert all(vocabulary.tokens[number] == token for token, number in vocabulary.special.items())


def test_merges_make_tokens() -> None:
    """What a merge joins is in the vocabulary, both halves and the whole."""
    vocabulary = byte_pair_vocabulary()
    for merge in vocabulary.merges:
        first, second = merge.split(" ")
        assert {first, second, first + second} <= set(vocabulary.tokens)


def test_the_merges_are_learnt_in_the_same_order_every_time() -> None:
    """Two processes write the same file: nothing hangs on hashes."""
    assert byte_pair_vocabulary().merges[:4] == ("Ġ a", "t h", "th e", "Ġ w")


@given(st.text())
def test_spelling_is_one_letter_per_byte(text: str) -> None:
    """Spelling loses nothing: one visible letter for each byte."""
    back = {letter: byte for byte, letter in enumerate(byte_letters())}
    assert bytes(back[letter] for letter in spell(text)) == text.encode()


def test_pieces_become_tokens() -> None:
    """A piece the vocabulary lacks is added at the end, one it has is found."""
    vocabulary, ids = byte_pair_vocabulary().with_pieces(("h", "never seen", "<|im_end|>"))
    assert vocabulary.tokens[ids[0]] == "h"
    assert ids[1] == len(byte_pair_vocabulary())
    assert ids[2] == vocabulary.special["<|im_end|>"]
