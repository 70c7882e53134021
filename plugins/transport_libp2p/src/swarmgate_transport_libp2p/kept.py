"""What outlives a restart: the port, and where members were met.  One small file, for its owner's eyes alone."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

#: The most members whose addresses are kept, and the most addresses of one.
MOST, MOST_ADDRESSES = 256, 8


class Kept(msgspec.Struct, frozen=True):
    """The *port* we listened on, 0 if on none yet, and the multiaddresses of *peers*, by their ids."""

    port: int = 0
    peers: dict[str, tuple[str, ...]] = {}


def with_peer(kept: Kept, peer: str, addresses: tuple[str, ...]) -> Kept:
    """Return *kept* with *peer* as the one that was met last."""
    others: Mapping[str, tuple[str, ...]] = {each: where for each, where in kept.peers.items() if each != peer}
    before = kept.peers.get(peer, ())
    peers = {**others, peer: tuple(dict.fromkeys((*addresses, *before)))[:MOST_ADDRESSES]}
    while len(peers) > MOST:
        del peers[next(iter(peers))]
    return msgspec.structs.replace(kept, peers=peers)


def file_in(folder: Path, authority: bytes) -> Path:
    """Return the file in *folder* for the swarm whose *authority* this is: members of another are no use here."""
    return folder / f"libp2p-{hashlib.sha256(authority).hexdigest()[:16]}.json"


def load(file: Path) -> Kept:
    """Return what *file* has; nothing if it is missing or damaged, as all of it can be found again."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Kept)
    except (OSError, msgspec.MsgspecError):
        return Kept()


def save(file: Path, kept: Kept) -> None:
    """Write *kept* to *file* in one piece.

    Raises:
        OSError: it cannot be written.

    """
    fresh = file.with_name(f"{file.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as out:  # noqa: PTH123  # a descriptor, not a path
        out.write(msgspec.json.encode(kept))
    fresh.replace(file)
