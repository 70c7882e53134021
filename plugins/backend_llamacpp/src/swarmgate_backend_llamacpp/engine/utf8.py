"""Bytes of token pieces to text, where a piece may end in the middle of a character.  Pure."""

from __future__ import annotations

import codecs


class Utf8Decoder:
    """Decodes UTF-8 piece by piece; any cutting of the same bytes gives the same text.

    A character that may still be completed is held back.  Bytes become U+FFFD only once no
    continuation could make them a character.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def __repr__(self) -> str:
        return f"<Utf8Decoder holding {self.held!r}>"

    @property
    def held(self) -> bytes:
        """Return the bytes of a character that is not complete yet."""
        return self._decoder.getstate()[0]

    def feed(self, data: bytes) -> str:
        """Take *data* in and return the text that is certain now."""
        return self._decoder.decode(data)

    def flush(self) -> str:
        """Return what was held back, as U+FFFD, and begin afresh."""
        text = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return text
