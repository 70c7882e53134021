"""What stands in the place of a backend that is not loaded: its models are known, and nobody is sent there."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NoReturn

from swarmgate.chat import Delta, Embeddings, EmbedRequest, GenerateRequest, ModelCard, Token, TokenizeRequest
from swarmgate.errors import NotLoaded
from swarmgate.nouns import Health
from swarmgate.split import SplitPlan


class Unloaded:
    """Knows the *cards* of a backend that was closed, and why it was."""

    def __init__(self, cards: tuple[ModelCard, ...], reason: str) -> None:
        self._cards, self._reason = cards, reason

    def __repr__(self) -> str:
        return f"<Unloaded {', '.join(card.name for card in self._cards)}>"

    def models(self) -> tuple[ModelCard, ...]:
        """Return the cards it was left with."""
        return self._cards

    def health(self) -> Health:
        """Return why nobody can answer."""
        return Health(ready=False, reason=self._reason, permanent=True, unloaded=True)

    async def load(self, plan: SplitPlan) -> None:
        """Refuse: the backend has to be opened again for that.

        Raises:
            NotLoaded: always, as by everything that takes a loaded model.

        """
        self._refuse()

    @asynccontextmanager
    async def generate(self, request: GenerateRequest) -> AsyncGenerator[AsyncIterator[Delta]]:
        """Refuse."""
        self._refuse()
        yield  # pragma: no cover  # what makes this a generator

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """Refuse."""
        self._refuse()

    async def tokenize(self, request: TokenizeRequest) -> tuple[Token, ...]:
        """Refuse."""
        self._refuse()

    async def detokenize(self, model: str, ids: Sequence[int]) -> bytes:
        """Refuse."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise NotLoaded(self._reason)
