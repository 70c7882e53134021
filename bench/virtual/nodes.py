"""A machine that answers, as far as time is concerned: slots, speeds, what it still holds, and how it fails."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace

import anyio
from swarmgate.api import (
    Delta,
    Embeddings,
    EmbedRequest,
    EngineError,
    GenerateRequest,
    Health,
    ModelCard,
    SplitPlan,
    TextPrompt,
    Token,
    TokenizeRequest,
    Unsupported,
    Usage,
)

#: Characters that make a token; the gateway guesses the same, so that only its measuring is put to the test.
CHARACTERS = 4
#: Each further answer that is being written makes all of them slower by this share.
SLOPE = 0.15
#: Tokens of an answer that come at once.
CHUNK = 8
#: How long one that fails fast takes for it, in seconds.
FAST_SECONDS = 0.002


@dataclass(frozen=True, slots=True)
class Machine:
    """What a machine is like: rates in tokens per second, times in seconds, *memory* in tokens.

    It is down from *dies* to *returns*, losing what it holds; one that *fails* refuses at once, always.
    """

    name: str
    prefill: float = 500.0
    decode: float = 20.0
    slots: int = 4
    rtt: float = 0.002
    memory: int = 16_384
    fails: bool = False
    dies: float = float("inf")
    returns: float = float("inf")

    def times(self, speed: float, name: str) -> Machine:
        """Return a machine called *name* that is so many times as fast."""
        return replace(self, name=name, prefill=self.prefill * speed, decode=self.decode * speed)


class Node:
    """A backend that takes its time as its machine would, and answers with as many tokens as it is asked for.

    Prompts are read one after the other, in the order of their coming, and only what is not held from an
    earlier one; answers are written side by side, one in each slot.  What reading costs those who write is
    left out.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.asked = 0
        self.read_tokens = 0
        self.held_tokens = 0
        self.busy_seconds = 0.0
        self._card = ModelCard(name="m", slots=machine.slots, context_length=8192, fingerprint="weights")
        self._slots = anyio.Semaphore(machine.slots)
        self._engine = anyio.Lock()
        self._writing = 0
        self._held: deque[str] = deque()

    def __repr__(self) -> str:
        return f"<Node {self.machine.name}, asked {self.asked} times>"

    def models(self) -> tuple[ModelCard, ...]:
        """Return its one card."""
        return (self._card,)

    def health(self) -> Health:
        """Return whether it is up at this moment."""
        if self._up():
            return Health(ready=True)
        return Health(ready=False, reason="is down")

    async def load(self, plan: SplitPlan) -> None:
        """Do nothing: it is loaded."""

    @asynccontextmanager
    async def generate(self, request: GenerateRequest) -> AsyncGenerator[AsyncIterator[Delta]]:
        """Answer, or fail, as the machine does."""
        self.asked += 1
        if self.machine.fails:
            await anyio.sleep(FAST_SECONDS)
            raise EngineError(f"{self.machine.name} fails fast")
        await anyio.sleep(self.machine.rtt)
        async with self._slots, aclosing(self._answer(request)) as deltas:
            yield deltas

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """Refuse: not simulated."""
        raise Unsupported("machines in virtual time only write")

    async def tokenize(self, request: TokenizeRequest) -> tuple[Token, ...]:
        """Return nothing: not simulated."""
        return ()

    async def detokenize(self, model: str, ids: Sequence[int]) -> bytes:
        """Return nothing: not simulated."""
        return b""

    async def _answer(self, request: GenerateRequest) -> AsyncGenerator[Delta]:
        text = request.prompt.text if isinstance(request.prompt, TextPrompt) else ""
        done = len(request.resume.token_ids) if request.resume else 0
        wanted = request.max_tokens or 0
        await self._read(text, done)
        self._writing += 1
        try:
            while done < wanted:
                tokens = min(CHUNK, wanted - done) if done else 1
                await self._spend(tokens / self.machine.decode * (1.0 + SLOPE * (self._writing - 1)))
                done += tokens
                yield Delta(text="x" * tokens, token_ids=(1,) * tokens)
        finally:
            self._writing -= 1
        yield Delta(finish="stop", usage=Usage(prompt_tokens=len(text) // CHARACTERS, completion_tokens=wanted))

    async def _read(self, text: str, resumed: int) -> None:
        async with self._engine:
            held = self._recall(text) // CHARACTERS
            tokens = len(text) // CHARACTERS + resumed - held
            self.held_tokens += held
            self.read_tokens += tokens
            self.busy_seconds += tokens / self.machine.prefill
            await self._spend(tokens / self.machine.prefill)
            self._keep(text)

    async def _spend(self, seconds: float) -> None:
        """Take so long, and die of a death that falls into it.

        Raises:
            EngineError: the machine went down meanwhile.

        """
        began = anyio.current_time()
        await anyio.sleep(seconds)
        if not self._up() or began < self.machine.dies <= anyio.current_time():
            self._held.clear()
            raise EngineError(f"{self.machine.name} went down")

    def _up(self) -> bool:
        return not self.machine.dies <= anyio.current_time() < self.machine.returns

    def _recall(self, text: str) -> int:
        """Return how many characters of *text* it holds."""
        return max((_common(text, other) for other in self._held), default=0)

    def _keep(self, text: str) -> None:
        self._held.append(text)
        while sum(map(len, self._held)) > self.machine.memory * CHARACTERS and len(self._held) > 1:
            self._held.popleft()


def _common(one: str, other: str) -> int:
    """Return how many characters both begin with."""
    shortest = min(len(one), len(other))
    return bisect_left(range(1, shortest + 1), 1, key=lambda length: one[:length] != other[:length])
