"""Stand-ins for what a dispatcher asks and is asked by: a balancer that takes the first, backends that play scripts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

import anyio
from swarmgate.admission import Admission
from swarmgate.chat import (
    ChatPrompt,
    Delta,
    Embeddings,
    EmbedRequest,
    GenerateRequest,
    Message,
    ModelCard,
    Token,
    TokenizeRequest,
    Usage,
)
from swarmgate.contracts import Backend, Balancer
from swarmgate.dispatch import Dispatcher, Route
from swarmgate.nouns import Candidate, Demand, Health, Pick
from swarmgate.split import SplitPlan

CARD = ModelCard(name="m", slots=2, fingerprint="f")
READY = Health(ready=True)
BROKEN = Health(ready=False, reason="no such file", permanent=True)
DONE = Delta(finish="stop", usage=Usage(prompt_tokens=3, completion_tokens=2))
ASK = GenerateRequest(id="r", model="m", prompt=ChatPrompt(messages=(Message(role="user", content="hello"),)))


class First:
    """Picks the first candidate and writes down what it is told."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bool]] = []
        self.offered: list[list[Candidate]] = []

    def pick(self, demand: Demand, candidates: Sequence[Candidate]) -> Pick:
        self.offered.append(list(candidates))
        return Pick(candidate=candidates[0], reason="first")

    def observe(self, candidate: Candidate, *, seconds: float, failed: bool) -> None:
        assert seconds >= 0
        self.seen.append((candidate.name, failed))


Step = Delta | str | Exception | anyio.Event | Callable[[], None]


@dataclass
class Scripted:
    """Plays one script per request: says, raises, waits or acts; the last script is played again."""

    scripts: Sequence[Sequence[Step]] = (("x", DONE),)
    card: ModelCard = CARD
    state: Health = READY
    asked: list[GenerateRequest] = field(default_factory=list[GenerateRequest])
    left: int = 0

    def models(self) -> tuple[ModelCard, ...]:
        return (self.card,)

    def health(self) -> Health:
        return self.state

    async def load(self, plan: SplitPlan) -> None:
        self.state = READY

    @asynccontextmanager
    async def generate(self, request: GenerateRequest) -> AsyncGenerator[AsyncIterator[Delta]]:
        script = self.scripts[min(len(self.asked), len(self.scripts) - 1)]
        self.asked.append(request)
        # The scope is there because real backends have one; it must be left by the task that entered it.
        with anyio.CancelScope():
            try:
                async with aclosing(self._play(script)) as deltas:
                    yield deltas
            finally:
                self.left += 1

    async def _play(self, script: Sequence[Step]) -> AsyncGenerator[Delta]:
        for step in script:
            await anyio.lowlevel.checkpoint()
            if isinstance(step, Exception):
                raise step
            if isinstance(step, anyio.Event):
                await step.wait()
            elif isinstance(step, Delta):
                yield step
            elif isinstance(step, str):
                yield Delta(text=step, token_ids=tuple(step.encode()))
            else:
                step()

    async def embed(self, request: EmbedRequest) -> Embeddings:
        if self.scripts and isinstance(self.scripts[0][0], Exception):
            raise self.scripts[0][0]
        return Embeddings(vectors=(b"1234",), usage=Usage(prompt_tokens=1))

    async def tokenize(self, request: TokenizeRequest) -> tuple[Token, ...]:
        return (Token(id=1, data=request.model.encode()),)

    async def detokenize(self, model: str, ids: Sequence[int]) -> bytes:
        return bytes(ids)


def house(balancer: Balancer | None = None, admission: Admission | None = None, **backends: Backend) -> Dispatcher:
    everyone: Mapping[str, Backend] = backends
    # no divisor of the tenth of a second after which anyio looks again whether all are blocked
    admission = admission or Admission(poll_seconds=0.037)
    return Dispatcher(lambda: everyone, balancer or First(), admission, resume_seconds=5)


async def text_of(dispatcher: Dispatcher, request: GenerateRequest = ASK, route: Route | None = None) -> str:
    async with dispatcher.generate(request, route=route) as deltas:
        return "".join([delta.text async for delta in deltas])
