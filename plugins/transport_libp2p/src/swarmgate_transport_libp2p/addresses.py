"""The form of our addresses; pure.

Format: ``p2p://PEER/SERVICE?at=MULTIADDR&at=...``.  PEER is the libp2p peer id of whoever offers the service, and is
pinned; the multiaddresses, percent-encoded, are hints where that peer may be, and may be missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, urlsplit

from swarmgate.api import NodeId, WireError, public_key_of

SCHEME = "p2p"
#: An offer's address may not be longer, so hints that would not fit are left out.
LONGEST = 1024
#: The most hints that are looked at, and the longest of them.
MOST_HINTS, LONGEST_HINT = 16, 256
_SERVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_HINT = re.compile(r"(?:/[A-Za-z0-9_.:%-]+)+")
_FORM = "expected p2p://PEER/SERVICE, with hints such as ?at=/ip4/10.0.0.5/tcp/4001"


class Address(NamedTuple):
    """Where a service is: whose it is, what it is called there, and where that peer may be found."""

    peer: NodeId
    service: str
    hints: tuple[str, ...] = ()


def read(text: str) -> Address:
    """Return what the address *text* says; hints that are no multiaddresses are left out.

    Raises:
        WireError: it is no address of this transport.

    """
    shown = text[:LONGEST]
    if len(text) > LONGEST:
        raise WireError(f"an address of {len(text)} characters, expected no more than {LONGEST}")
    try:
        parts = urlsplit(text)
        peer = parts.netloc
    except ValueError:
        raise WireError(f"{shown!r} is not an address of this transport: {_FORM}") from None
    service = parts.path.removeprefix("/")
    if parts.scheme != SCHEME or not _SERVICE.fullmatch(service):
        raise WireError(f"{shown!r} is not an address of this transport: {_FORM}")
    public_key_of(peer)
    hints = (value for name, value in parse_qsl(parts.query, max_num_fields=None) if name == "at")
    return Address(NodeId(peer), service, tuple(tidied(hints)))


def write(address: Address) -> str:
    """Return *address* as a text, with as many of its hints as there is room for."""
    text = f"{SCHEME}://{address.peer}/{address.service}"
    sign = "?"
    for hint in tidied(address.hints):
        more = f"{sign}at={quote(hint, safe='/:')}"
        if len(text) + len(more) <= LONGEST:
            text, sign = text + more, "&"
    return text


def tidied(hints: Iterable[str]) -> list[str]:
    """Return *hints* without those that are no multiaddresses and without the peer at their end, each once."""
    good = (hint.partition("/p2p/")[0] if "/p2p-circuit" not in hint else hint for hint in hints)
    kept = (hint for hint in good if len(hint) <= LONGEST_HINT and _HINT.fullmatch(hint))
    return list(dict.fromkeys(kept))[:MOST_HINTS]


def with_peer(text: str) -> tuple[NodeId, str]:
    """Return whose the multiaddress *text* is, by the ``/p2p/`` at its end, and the part before.

    Raises:
        WireError: it does not say, or is no multiaddress.

    """
    where, mark, peer = text.strip().rpartition("/p2p/")
    if not mark or not _HINT.fullmatch(where) or len(where) > LONGEST_HINT:
        raise WireError(
            f"{text[:LONGEST_HINT]!r} does not say whose address it is: it ends with /p2p/ and the peer's id, "
            "such as /ip4/10.0.0.5/tcp/4001/p2p/12D3Koo..."
        )
    public_key_of(peer)
    return NodeId(peer), where
