"""Which of llama.cpp's own RPC servers our engines are connected to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import anyio
from swarmgate.api import Endpoint


class InUse:
    """Shared by the probe and the backends: such a server lets whoever comes second hang for ever.

    Our own lenders are none of them: they answer whoever asks, whoever has them.
    """

    def __init__(self) -> None:
        self._engines = Counter[Endpoint]()
        self._news = anyio.Event()

    def __repr__(self) -> str:
        return f"<InUse {', '.join(map(str, self._engines)) or 'nowhere'}>"

    def __contains__(self, endpoint: Endpoint) -> bool:
        return endpoint in self._engines

    def enter(self, endpoints: Iterable[Endpoint]) -> None:
        """Learn that an engine is about to connect to *endpoints*."""
        self._engines.update(endpoints)
        self._stir()

    def leave(self, endpoints: Iterable[Endpoint]) -> None:
        """Learn that the engine which was connected to *endpoints* is gone."""
        self._engines -= Counter(endpoints)  # those at zero are forgotten
        self._stir()

    async def changed(self) -> None:
        """Wait until an engine came or went."""
        await self._news.wait()

    def _stir(self) -> None:
        self._news.set()
        self._news = anyio.Event()
