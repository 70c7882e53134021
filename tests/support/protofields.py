"""Protocol Buffers' wire format, as far as the Go daemon's control socket needs it: fields by number.  Pure."""

from __future__ import annotations

from collections import defaultdict

Value = int | str | bytes | list[bytes]

_VARINT, _BYTES = 0, 2


def varint(value: int) -> bytes:
    """Return *value* in base 128, the lowest digits first."""
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*digits, value))


def message(fields: dict[int, Value]) -> bytes:
    """Return a message with these *fields*; a list is a repeated field."""
    out = bytearray()
    for number, value in fields.items():
        if isinstance(value, int):
            out += varint(number << 3 | _VARINT) + varint(value)
            continue
        for each in value if isinstance(value, list) else [value]:
            data = each.encode() if isinstance(each, str) else each
            out += varint(number << 3 | _BYTES) + varint(len(data)) + data
    return bytes(out)


class Fields:
    """A message that was read: its fields by number, each as often as it came."""

    def __init__(self, data: bytes) -> None:
        self._numbers: dict[int, list[int]] = defaultdict(list)
        self._texts: dict[int, list[bytes]] = defaultdict(list)
        at = 0
        while at < len(data):
            tag, at = _read(data, at)
            value, at = _read(data, at)
            match tag & 7:
                case 0:
                    self._numbers[tag >> 3].append(value)
                case 2:
                    self._texts[tag >> 3].append(data[at : at + value])
                    at += value
                case other:
                    raise ValueError(f"a field of wire type {other}")

    def number(self, field: int) -> int:
        """Return the integer of *field*, the last one if there are several, 0 if there is none."""
        return ([0] + self._numbers[field])[-1]

    def data(self, field: int) -> bytes:
        """Return the bytes of *field*, the last ones if there are several, none if there are none."""
        return ([b""] + self._texts[field])[-1]

    def all(self, field: int) -> list[bytes]:
        """Return the bytes of *field*, each time that it came."""
        return self._texts[field]


def _read(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        if data[at] < 0x80:
            return value, at + 1
        at, shift = at + 1, shift + 7
