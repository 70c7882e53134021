"""Who hears what members say: the ledger and the discovery, if there are any."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

from swarmgate.api import NodeId

from swarmgate_transport_libp2p.messages import Channel, Published, Said


class Attendant(Protocol):
    """Who is told what others say.  Called on the event loop; must not block."""

    def met(self, peer: NodeId) -> None:
        """Learn that the member *peer* is connected."""
        ...

    def parted(self, peer: NodeId) -> None:
        """Learn that *peer* is connected no more."""
        ...

    def published(self, data: bytes) -> None:
        """Hear what somebody said to all; it was sealed by a member."""
        ...

    def said(self, peer: NodeId, channel: Channel, data: bytes) -> None:
        """Hear what *peer* said to us alone."""
        ...


class Attendants:
    """Passes on who comes and goes and what they say; who begins to attend is told who is there already."""

    def __init__(self) -> None:
        self._connected: set[NodeId] = set()
        self._all: list[Attendant] = []

    def __repr__(self) -> str:
        return f"<Attendants {len(self._all)} hear of {len(self._connected)} members>"

    @property
    def connected(self) -> frozenset[NodeId]:
        """Return the members that are connected."""
        return frozenset(self._connected)

    @contextmanager
    def attended(self, attendant: Attendant) -> Generator[None]:
        """Tell *attendant* what others say, until the block is left."""
        self._all.append(attendant)
        try:
            for peer in sorted(self._connected):
                attendant.met(peer)
            yield
        finally:
            self._all.remove(attendant)

    def met(self, peer: NodeId) -> bool:
        """Note that *peer* is connected; return whether it was not before."""
        if peer in self._connected:
            return False
        self._connected.add(peer)
        for attendant in tuple(self._all):
            attendant.met(peer)
        return True

    def parted(self, peer: NodeId) -> bool:
        """Note that *peer* is connected no more; return whether it was before."""
        if peer not in self._connected:
            return False
        self._connected.discard(peer)
        for attendant in tuple(self._all):
            attendant.parted(peer)
        return True

    def heard(self, frame: Published | Said) -> None:
        """Pass on what somebody said."""
        for attendant in tuple(self._all):
            if isinstance(frame, Published):
                attendant.published(frame.data)
            else:
                attendant.said(NodeId(frame.peer), frame.channel, frame.data)
