"""What stands in the gateway and a fresh child has to be told: exposures, paths, acquaintances.  Pure."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from itertools import count

import anyio
from swarmgate.api import Endpoint, Frame, NodeId, Way

from swarmgate_transport_libp2p.addresses import Address, tidied
from swarmgate_transport_libp2p.messages import Expose, Join, Know, Reach, Seek, Stands


@dataclass(slots=True)
class Held:
    """A path that somebody holds, whose address is written *text*: where it begins, or why it could not be opened."""

    address: Address
    text: str
    port: int = 0
    error: str = ""
    settled: anyio.Event = field(default_factory=anyio.Event)
    stands: Stands | None = None

    @property
    def way(self) -> Way:
        """Return how its bytes go at the moment."""
        stands = self.stands
        if stands is None:
            return Way(address=self.text, kind="direct", reason="libp2p is being restarted")
        return Way(address=self.text, kind=stands.kind, rtt_seconds=stands.rtt_seconds, reason=stands.reason)


@dataclass(slots=True)
class Standing:
    """All that stands: what we expose by which name, which paths are held, whom we know, what we take part in."""

    exposed: dict[str, Endpoint] = field(default_factory=dict[str, Endpoint])
    held: dict[int, Held] = field(default_factory=dict[int, Held])
    known: dict[NodeId, tuple[str, ...]] = field(default_factory=dict[NodeId, tuple[str, ...]])
    joined: bool = False
    seeking: bool = False

    def frames(self) -> list[Frame]:
        """Return what tells all of it."""
        frames: list[Frame] = [Join()] if self.joined else []
        frames += [Seek()] if self.seeking else []
        frames += [Know(peer, addresses) for peer, addresses in self.known.items()]
        frames += [Expose(name, to.host, to.port) for name, to in self.exposed.items()]
        frames += [
            Reach(number, held.address.peer, held.address.service, held.address.hints, held.port)
            for number, held in self.held.items()
            if not held.error
        ]
        return frames

    def learn(self, peer: NodeId, addresses: Sequence[str]) -> tuple[str, ...]:
        """Keep that *peer* may be at *addresses*; return them, tidied, if any is new."""
        good, before = tuple(tidied(addresses)), self.known.get(peer, ())
        if set(good) <= set(before):
            return ()
        self.known[peer] = tuple(tidied((*good, *before)))
        return good

    def name_for(self, service: str) -> str:
        """Return what the next exposure of *service* is called: by the name others say which they mean."""
        return next(name for name in _names(service) if name not in self.exposed)


def _names(service: str) -> Generator[str]:
    yield service
    for number in count(2):
        yield f"{service}.{number}"
