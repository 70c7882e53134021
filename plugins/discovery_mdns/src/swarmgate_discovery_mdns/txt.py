"""A sealed message as the TXT record of a DNS-SD service, and back.  Pure.

Format (RFC 6763, 6.1 to 6.5): strings of at most 255 bytes, each with a byte for its length in front.  The first is
``v=1``; then come ``0=``, ``1=`` and so on, whose values are the message's pieces in order; values of TXT strings may
be binary.  Keys are unique, so responders and caches that sort or drop repeated keys do no harm.
"""

from __future__ import annotations

from collections.abc import Iterator

from swarmgate.api import WireError

#: The most a record may hold, in bytes: a packet of multicast DNS has at most 9000 (RFC 6762, 17), with all around it.
LARGEST = 8000
#: With its key, ``0=`` to ``31=``, a piece makes a string of at most 255 bytes.
_PIECE = 250
_VERSION = b"v=1"


def to_txt(message: bytes) -> bytes:
    """Return the data of a TXT record that carries *message*.

    Raises:
        WireError: it does not fit into one.

    """
    pieces = [message[start : start + _PIECE] for start in range(0, len(message), _PIECE)]
    strings = [_VERSION, *(str(number).encode() + b"=" + piece for number, piece in enumerate(pieces))]
    data = b"".join(bytes((len(string),)) + string for string in strings)
    if len(data) > LARGEST:
        raise WireError(f"a message of {len(message)} bytes does not fit into a TXT record of {LARGEST}")
    return data


def from_txt(data: bytes) -> bytes:
    """Return the message that a TXT record carries.

    Raises:
        WireError: it is too large, no TXT record, of another version, or incomplete.

    """
    if len(data) > LARGEST:
        raise WireError(f"a TXT record of {len(data)} bytes, expected no more than {LARGEST}")
    values = {key: value for key, separator, value in (each.partition(b"=") for each in _strings(data)) if separator}
    if values.pop(b"v", b"") != _VERSION.partition(b"=")[2]:
        raise WireError("a TXT record of another version, or of something else")
    try:
        return b"".join(values[str(number).encode()] for number in range(len(values)))
    except KeyError:
        raise WireError("a TXT record lacks a piece") from None


def _strings(data: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(data):
        end = start + 1 + data[start]
        if end > len(data):
            raise WireError("a TXT record is cut short")
        yield data[start + 1 : end]
        start = end
