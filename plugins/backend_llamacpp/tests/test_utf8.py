from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from swarmgate_backend_llamacpp.engine.utf8 import Utf8Decoder


@given(st.lists(st.binary(max_size=6)))
def test_cutting_does_not_matter(pieces: list[bytes]) -> None:
    """However bytes are cut, the text is that of all of them decoded at once."""
    decoder = Utf8Decoder()
    text = "".join(map(decoder.feed, pieces)) + decoder.flush()
    assert text == b"".join(pieces).decode(errors="replace")


@given(st.text())
def test_a_character_comes_with_its_last_byte(text: str) -> None:
    """Fed byte by byte, valid text is said as soon as each character is complete and nothing is left at the end."""
    decoder = Utf8Decoder()
    for character in text:
        *first, last = (bytes([byte]) for byte in character.encode())
        assert [decoder.feed(byte) for byte in first] == [""] * len(first)
        assert decoder.feed(last) == character
    assert decoder.held == b""
    assert decoder.flush() == ""


def test_half_a_character_is_replaced_only_at_the_end() -> None:
    """A beginning of a character is held back until the end, and the decoder can be used again then."""
    decoder = Utf8Decoder()
    assert decoder.feed("€".encode()[:2]) == ""
    assert decoder.held == "€".encode()[:2]
    assert decoder.flush() == "\ufffd"
    assert decoder.feed(b"a") == "a"


def test_an_impossible_byte_is_replaced_at_once() -> None:
    """A byte that no continuation can save is not held back."""
    assert Utf8Decoder().feed(b"a\xffb") == "a\ufffdb"
