"""A backend whose model is being looked after: the same backend, that also knows why it is not loaded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager

from swarmgate.chat import Delta, Embeddings, EmbedRequest, GenerateRequest, ModelCard, Token, TokenizeRequest
from swarmgate.loading import Load
from swarmgate.nouns import Health
from swarmgate.split import SplitPlan


class Attended:
    """Answers as the backend of *load* does; its health is the load's, which knows of missing memory and workers."""

    def __init__(self, load: Load) -> None:
        self._load, self._backend = load, load.backend

    def __repr__(self) -> str:
        return f"<Attended {self._backend!r}>"

    def models(self) -> tuple[ModelCard, ...]:
        """Return the backend's models."""
        return self._backend.models()

    def health(self) -> Health:
        """Return the backend's health, or what keeps its model from being loaded."""
        return self._load.health()

    async def load(self, plan: SplitPlan) -> None:
        """Load by *plan*."""
        await self._backend.load(plan)

    def generate(self, request: GenerateRequest) -> AbstractAsyncContextManager[AsyncIterator[Delta]]:
        """Let the backend answer."""
        return self._backend.generate(request)

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """Let the backend embed."""
        return await self._backend.embed(request)

    async def tokenize(self, request: TokenizeRequest) -> tuple[Token, ...]:
        """Let the backend cut text."""
        return await self._backend.tokenize(request)

    async def detokenize(self, model: str, ids: Sequence[int]) -> bytes:
        """Let the backend join tokens."""
        return await self._backend.detokenize(model, ids)
