"""Amounts of memory as people write and read them; pure."""

from __future__ import annotations

import re

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_STEP = 1024
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?: [KMGTP]?i?B)?")
_WRITTEN = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)\s*([KMGTP]?)(I?B)?", re.IGNORECASE)


def readable(size: int) -> str:
    """Return *size* bytes with one decimal and a unit, such as ``8.0 GiB``."""
    value, unit = float(size), 0
    while value >= _STEP and unit < len(_UNITS) - 1:
        value, unit = value / _STEP, unit + 1
    return f"{value:.1f} {_UNITS[unit]}" if unit else f"{size} B"


def parse_size(text: str) -> int:
    """Read an amount such as ``24G``, ``24GiB``, ``1.5 GiB`` or ``800MB``; units are powers of 1024.

    Raises:
        ValueError: *text* is something else, or has no unit; the message says what was expected.

    """
    found = _WRITTEN.fullmatch(text.strip())
    if found is None or not (found[2] or found[3]):
        raise ValueError(f"{text!r} is no amount of memory: expected a number and a unit, such as 24G or 800M")
    return int(float(found[1]) * _STEP ** " KMGTP".index(found[2].upper() or " "))


def numberless(text: str) -> str:
    """Return *text* with each number and its unit as ``#``: of two that are then alike the second is no news."""
    return _NUMBER.sub("#", text)
