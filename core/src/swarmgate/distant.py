"""A gateway elsewhere as one backend, whether a path to it is held or not: who asks for it has one opened."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager

import anyio
import msgspec

from swarmgate.chat import Ability, Delta, Embeddings, EmbedRequest, GenerateRequest, ModelCard, Token, TokenizeRequest
from swarmgate.contracts import Attentive, Backend
from swarmgate.errors import Unavailable, Unreachable
from swarmgate.nouns import Health, Offer
from swarmgate.split import SplitPlan
from swarmgate.ways import ASLEEP

#: The label by which a gateway's offer names its models, and what divides them there.
MODELS, _BETWEEN = "models", ", "
#: What a model can do of which nobody has seen more than its name.
_ANYTHING: frozenset[Ability] = frozenset(("chat", "completion", "embedding"))
#: How long a path may take to be opened for who asks, in seconds: more than a relay takes.
_OPENED_SECONDS = 20.0


class Distant:
    """Answers by what is held (:meth:`answering_by`), and has it held for as long as somebody asks, by *use*.

    While nothing is, it has the models that *offer* announces, as far as is known of them, and passes for ready.
    """

    def __init__(self, offer: Offer, use: Callable[[], AbstractContextManager[None]]) -> None:
        self._offer, self._use = offer, use
        self._inner: Backend | None = None
        self._known: dict[str, ModelCard] = {}
        self._cards = self._announced()
        self._reason = ""
        self._news = anyio.Event()

    def __repr__(self) -> str:
        return f"<Distant {self._inner!r}>" if self._inner else f"<Distant {self._offer.name}, asleep>"

    def announce(self, offer: Offer) -> None:
        """Take over what *offer* says now; what is held is to have another look."""
        if offer.labels == self._offer.labels:
            return
        self._offer = offer
        self._cards = self._announced()
        self.doubt()

    def doubt(self) -> None:
        """Have what is held look again at once: it may well be gone, or serve something else."""
        if isinstance(self._inner, Attentive):
            self._inner.look_again()

    @contextmanager
    def answering_by(self, backend: Backend) -> Generator[None]:
        """Answer by *backend* until the block is left; what it has is remembered."""
        self._inner, self._reason = backend, ""
        self._stir()
        try:
            yield
        finally:
            self._known = {card.name: card for card in backend.models()}
            self._inner, self._cards = None, self._announced()

    def rest(self) -> None:
        """Pass for ready: what was lost may be tried again."""
        self._reason = ""

    def lose(self, reason: str) -> None:
        """Learn that it cannot be reached, and why; nobody waits for it any longer."""
        self._reason = reason
        self._stir()

    # ---- what a backend does

    def models(self) -> tuple[ModelCard, ...]:
        """Return what it serves, or announces while nobody looks."""
        return self._cards if self._inner is None else self._inner.models()

    def health(self) -> Health:
        """Return whether it could answer, as far as is known."""
        return Health(ready=not self._reason, reason=self._reason) if self._inner is None else self._inner.health()

    async def load(self, plan: SplitPlan) -> None:
        """Do nothing: what there is to load is loaded elsewhere."""
        await anyio.lowlevel.checkpoint()

    @asynccontextmanager
    async def generate(self, request: GenerateRequest) -> AsyncGenerator[AsyncIterator[Delta]]:
        """Let it answer."""
        async with self._held() as backend, backend.generate(request) as deltas:
            yield deltas

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """Let it embed."""
        async with self._held() as backend:
            return await backend.embed(request)

    async def tokenize(self, request: TokenizeRequest) -> tuple[Token, ...]:
        """Let it cut text."""
        async with self._held() as backend:
            return await backend.tokenize(request)

    async def detokenize(self, model: str, ids: Sequence[int]) -> bytes:
        """Let it join tokens."""
        async with self._held() as backend:
            return await backend.detokenize(model, ids)

    @asynccontextmanager
    async def _held(self) -> AsyncGenerator[Backend]:
        """Yield what answers, once there is something; it is held meanwhile.

        Raises:
            Unreachable: no path can be opened.
            Unavailable: it opened, and cannot answer.

        """
        with self._use():
            with anyio.move_on_after(_OPENED_SECONDS):
                while self._inner is None and not self._reason:
                    await self._news.wait()
            if self._inner is None:
                reason = self._reason or f"no path to it was opened within {_OPENED_SECONDS:g} s"
                raise Unreachable(f"{self._offer.name} cannot be reached: {reason}")
            health = self._inner.health()
            if not health.ready:
                raise Unavailable(f"{self._offer.name} cannot answer: {health.reason}")
            yield self._inner

    def _announced(self) -> tuple[ModelCard, ...]:
        """Return a card for each model that the offer names: what was seen of it, if anything, or else a bare one."""
        return tuple(
            msgspec.structs.replace(
                self._known.get(name) or ModelCard(name=name, abilities=_ANYTHING),
                node=self._offer.name,
                paths=((self._offer.node,),),
                labels={ASLEEP: "yes"},
            )
            for name in models_in(self._offer)
        )

    def _stir(self) -> None:
        self._news.set()
        self._news = anyio.Event()


def models_in(offer: Offer) -> tuple[str, ...]:
    """Return the models that a gateway's *offer* names."""
    return tuple(filter(None, offer.labels.get(MODELS, "").split(_BETWEEN)))
