"""What outlives a restart: the port, and where members were met.  One small file, for its owner's eyes alone."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import anyio
import msgspec
import structlog

#: The most members whose addresses are kept, and the most addresses of one.
MOST, MOST_ADDRESSES = 256, 8
#: What has changed is written no more often than this, in seconds.
_PAUSE = 0.5


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


class Keeper:
    """Keeps *kept* on the disk, in *file*, as it changes."""

    def __init__(self, file: Path, kept: Kept) -> None:
        self.kept = kept
        self._file = file
        self._changed = anyio.Event()

    def __repr__(self) -> str:
        return f"<Keeper of {self._file.name}>"

    def change(self, kept: Kept) -> None:
        """Keep *kept* from now on."""
        if kept != self.kept:
            self.kept = kept
            self._changed.set()

    async def run(self) -> None:
        """Write what has changed, for ever."""
        while True:
            await self._changed.wait()
            await self.save()
            await anyio.sleep(_PAUSE)  # many changes come together

    async def save(self) -> None:
        """Write what has changed; that it cannot be is logged, as nothing depends on it."""
        if not self._changed.is_set():
            return
        self._changed = anyio.Event()
        try:
            await anyio.to_thread.run_sync(save, self._file, self.kept)
        except OSError as error:
            log = structlog.get_logger("swarmgate.p2p")
            log.warning("p2p.not_kept", file=str(self._file), reason=str(error))
