"""Which workers' RPC servers our own engines are connected to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from swarmgate.api import Endpoint


class InUse:
    """Shared by the probe and the backends: llama.cpp's own server lets whoever comes second hang for ever."""

    def __init__(self) -> None:
        self._engines = Counter[Endpoint]()

    def __repr__(self) -> str:
        return f"<InUse {', '.join(map(str, self._engines)) or 'nowhere'}>"

    def __contains__(self, endpoint: Endpoint) -> bool:
        return endpoint in self._engines

    def enter(self, endpoints: Iterable[Endpoint]) -> None:
        """Learn that an engine is about to connect to *endpoints*."""
        self._engines.update(endpoints)

    def leave(self, endpoints: Iterable[Endpoint]) -> None:
        """Learn that the engine which was connected to *endpoints* is gone."""
        self._engines -= Counter(endpoints)  # those at zero are forgotten
