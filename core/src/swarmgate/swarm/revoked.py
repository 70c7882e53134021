"""Revocations, kept so that they hold after a restart: the signed entries themselves, to be passed on as they are.

Format of the file ``revocations`` in the state folder (0600): a MessagePack array of a version number and of the
entries' bytes (see :mod:`swarmgate.swarm.entries`), one for each peer revoked, the oldest first.  What is in it is
checked again whenever it is read, so that the file need not be trusted; what another swarm's owner signed does not
count here, and is left where it is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import anyio.to_thread
import msgspec

from swarmgate.errors import ConfigError, WireError
from swarmgate.nouns import NodeId
from swarmgate.swarm.entries import LARGEST, Entry, open_entry, sign_entry
from swarmgate.swarm.kept import write_whole
from swarmgate.swarm.membership import Membership
from swarmgate.swarm.peerids import public_key_of

FILE = "revocations"
_VERSION = 1
#: As many peers may be revoked in one folder: beyond that it is time for a new token.
MOST = 4096
_LARGEST = (MOST + 1) * (LARGEST + 8)


class Revocation(NamedTuple):
    """That *peer* is revoked, and the entry that says so, to be passed on."""

    peer: NodeId
    data: bytes


class _Book(msgspec.Struct, frozen=True, array_like=True):
    version: int
    entries: tuple[bytes, ...] = ()


def load(state_dir: Path, membership: Membership) -> list[bytes]:
    """Return the entries kept in *state_dir* that count in *membership*'s swarm; its revocations learn of them.

    Raises:
        ConfigError: the file cannot be read; without it those revoked would be let in again.

    """
    # all are read before the first counts: who revokes others may be revoked later, and what it said until then stands
    known = tuple(_genuine(membership, _read(state_dir)))
    for revocation in known:
        membership.revocations.add(revocation.peer, revocation.data)
    return [revocation.data for revocation in known]


def add(state_dir: Path, membership: Membership, data: bytes) -> NodeId:
    """Keep the entry *data*, which revokes somebody, and have it count from now on; return who is revoked.

    Raises:
        WireError: it is no revocation by an owner of this swarm; or there are too many to keep it, but it counts.
        ConfigError: it cannot be kept, but it counts.

    """
    revoked = revoked_by(membership, data)
    try:
        if revoked not in membership.revocations:
            _append(state_dir, data)
    finally:
        membership.revocations.add(revoked, data)
    return revoked


async def keep_revocation(state_dir: Path, membership: Membership, data: bytes) -> NodeId:
    """Do what :func:`add` does, from within a loop, which the disk does not keep waiting."""
    revoked = revoked_by(membership, data)
    new = revoked not in membership.revocations
    membership.revocations.add(revoked, data)
    if new:
        await anyio.to_thread.run_sync(_append, state_dir, data)
    return revoked


def revoked_by(membership: Membership, data: bytes) -> NodeId:
    """Return whom the entry *data* revokes.

    Raises:
        WireError: it is no revocation by an owner of this swarm.

    """
    entry = open_entry(membership, data).entry
    if entry.kind != "revoke":
        raise WireError(f"expected a revocation, found an entry of the kind {entry.kind}")
    public_key_of(entry.revoked)
    return entry.revoked


def revoke(membership: Membership, peer: NodeId) -> bytes:
    """Return the entry by which this node, an owner, revokes *peer*.

    Raises:
        WireError: this node may not.

    """
    return sign_entry(membership, Entry(kind="revoke", revoked=peer))


def encode(entries: Iterable[bytes]) -> bytes:
    """Return the file's content."""
    return msgspec.msgpack.encode(_Book(_VERSION, tuple(entries)))


def decode(content: bytes) -> tuple[bytes, ...]:
    """Return the entries in the file's *content*, unchecked.

    Raises:
        WireError: it is not such a file.

    """
    if len(content) > _LARGEST:
        raise WireError(f"these revocations take more than {_LARGEST} bytes")
    try:
        book = msgspec.msgpack.decode(content, type=_Book)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise WireError(f"these are no revocations: {error}") from None
    if book.version != _VERSION:
        raise WireError(f"these revocations are of version {book.version}, expected {_VERSION}")
    return book.entries


def _append(state_dir: Path, data: bytes) -> None:
    file = state_dir / FILE
    try:
        with _alone(state_dir):
            entries = _read(state_dir)
            if data in entries:
                return
            if len(entries) >= MOST:
                raise WireError(f"{MOST} peers are revoked already; make a new token with `gateway token rotate`")
            write_whole(file, encode((*entries, data)))
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror or error}") from None


@contextmanager
def _alone(state_dir: Path) -> Generator[None]:
    """Keep other processes of ours out of the file for as long: a gateway and the command may write at once."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    folder = os.open(state_dir, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _read(state_dir: Path) -> tuple[bytes, ...]:
    file = state_dir / FILE
    try:
        with file.open("rb") as source:
            content = source.read(_LARGEST + 1)
        return decode(content)
    except FileNotFoundError:
        return ()
    except (OSError, WireError) as error:
        remedy = "bring it back from a copy, or remove it and make a new token with `gateway token rotate`"
        raise ConfigError(f"{file} cannot be read: {error}; {remedy}") from None


def _genuine(membership: Membership, entries: Iterable[bytes]) -> Iterable[Revocation]:
    for data in entries:
        try:
            yield Revocation(revoked_by(membership, data), data)
        except WireError:
            continue  # another swarm's, such as from before the token was made anew
