"""Amounts of memory, written and read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.sizes import numberless, parse_size, readable


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (3 << 29, "1.5 GiB"),
        (1 << 40, "1.0 TiB"),
        (1 << 63, "8192.0 PiB"),
    ],
)
def test_written(size: int, text: str) -> None:
    """The largest unit that leaves at least one, with one decimal."""
    assert readable(size) == text


@pytest.mark.parametrize(
    ("text", "size"),
    [("24G", 24 << 30), ("24gib", 24 << 30), ("1.5 GB", 3 << 29), ("800M", 800 << 20), ("7B", 7), ("2T", 2 << 40)],
)
def test_read(text: str, size: int) -> None:
    """A number and a unit, in powers of 1024, in any case."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "24", "G", "-1G", "1e3G", "24X", "24E", "nanG", "24G!", "²G"])
def test_refused(text: str) -> None:
    """Anything else is named in the message, with what was expected; a bare number has no unit to go by."""
    with pytest.raises(ValueError, match="expected a number and a unit") as caught:
        parse_size(text)
    assert repr(text) in str(caught.value)


@given(st.integers(0, 1 << 50))
def test_what_is_written_can_be_read(size: int) -> None:
    """Reading back what was written is off by no more than was rounded away."""
    assert parse_size(readable(size)) == pytest.approx(size, rel=0.06)


def test_two_texts_that_differ_in_numbers_are_alike_without_them() -> None:
    """Amounts and counts do not matter; everything else does."""
    assert numberless("needs 8.3 MiB; here are 22 GiB") == numberless("needs 9 MiB; here are 21.5 GiB")
    assert numberless("needs 980 MiB") == numberless("needs 1.0 GiB")
    assert numberless("needs 8 MiB") != numberless("has 8 MiB")
