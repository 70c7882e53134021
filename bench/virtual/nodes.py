"""A machine that answers, as far as time is concerned: slots, speeds, what it still holds, and how it fails."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from math import inf
from zlib import crc32

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

from virtual.forecast import Work, finishes

#: Characters that make a token; the gateway guesses the same, so that only its measuring is put to the test.
CHARACTERS = 4
#: Each further answer that is being written makes all of them slower by this share.
SLOPE = 0.15
#: Tokens of an answer that come at once.
CHUNK = 8
#: How long one that fails fast takes for it, in seconds.
FAST_SECONDS = 0.002
#: How many times as long a machine writes at an answer of a lapse.
LAPSE = 5.0
#: Texts that differ in their first characters, so many, have nothing in common that is worth holding.
_GLANCE = 16


@dataclass(frozen=True, slots=True)
class Machine:
    """What a machine is like: rates in tokens per second, times in seconds, *memory* and *context* in tokens.

    It is not known before it *joins*.  It is down from *dies* to *returns*, losing what it holds; one that *fails*
    refuses at once, always.  *lapses* is the share of requests it is slow at; which ones depends on their prompts
    alone.  Only machines of the same *weights* can go on with one another's answers.
    """

    name: str
    prefill: float = 500.0
    decode: float = 20.0
    slots: int = 4
    rtt: float = 0.002
    memory: int = 16_384
    context: int = 8192
    fails: bool = False
    joins: float = 0.0
    dies: float = inf
    returns: float = inf
    lapses: float = 0.0
    weights: str = "weights"

    def times(self, speed: float, name: str) -> Machine:
        """Return a machine called *name* that is so many times as fast."""
        return replace(self, name=name, prefill=self.prefill * speed, decode=self.decode * speed)

    def slower(self, prompt: str) -> float:
        """Return how many times as long it writes at the answer to *prompt*, alone in the world."""
        return LAPSE if crc32(prompt.encode()) < self.lapses * 2**32 else 1.0


@dataclass(eq=False, slots=True)
class _Job:
    """One request at a machine: what is left of it, and how long it is at what it is at."""

    prompt: str
    comes: float
    unread: float
    left: float
    slower: float
    read: bool = False
    chunk: int = 0
    began: float = 0.0
    due: float = 0.0

    def share(self, now: float) -> float:
        """Return how much is left of what it is at."""
        return min(max((self.due - now) / (self.due - self.began), 0.0), 1.0) if self.due > self.began else 0.0


class Node:
    """A backend that takes its time as its machine would; *length* says how many tokens it answers with.

    Prompts are read one after the other, in the order of their coming, and only what is not held from an
    earlier one; answers are written side by side, one in each slot.  What reading costs those who write is
    left out.
    """

    def __init__(
        self, machine: Machine, length: Callable[[GenerateRequest], int] = lambda request: request.max_tokens or 0
    ) -> None:
        self.machine = machine
        self.asked = 0
        self.read_tokens = 0
        self.held_tokens = 0
        self.work_seconds = 0.0
        self._length = length
        self._card = ModelCard(
            name="m", slots=machine.slots, context_length=machine.context, fingerprint=machine.weights
        )
        self._slots = anyio.Semaphore(machine.slots)
        self._engine = anyio.Lock()
        self._writing = 0
        self._held: deque[str] = deque()
        self._jobs: list[_Job] = []

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

    def known(self) -> bool:
        """Return whether it has joined."""
        return anyio.current_time() >= self.machine.joins

    async def load(self, plan: SplitPlan) -> None:
        """Do nothing: it is loaded."""

    @asynccontextmanager
    async def generate(self, request: GenerateRequest) -> AsyncGenerator[AsyncIterator[Delta]]:
        """Answer, or fail, as the machine does."""
        self.asked += 1
        if self.machine.fails:
            await anyio.sleep(FAST_SECONDS)
            raise EngineError(f"{self.machine.name} fails fast")
        prompt = request.prompt.text if isinstance(request.prompt, TextPrompt) else ""
        done = len(request.resume.token_ids) if request.resume else 0
        job = self._job(prompt, self._length(request), done)
        self._jobs.append(job)
        try:
            await anyio.sleep(self.machine.rtt)
            async with self._slots, aclosing(self._answer(job, done)) as deltas:
                yield deltas
        finally:
            self._jobs.remove(job)

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """Refuse: not simulated."""
        raise Unsupported("machines in virtual time only write")

    async def tokenize(self, request: TokenizeRequest) -> tuple[Token, ...]:
        """Return nothing: not simulated."""
        return ()

    async def detokenize(self, model: str, ids: Sequence[int]) -> bytes:
        """Return nothing: not simulated."""
        return b""

    def flow_seconds(self, prompt: str, tokens: int, *, waiting: int = 0, queues_count: float = 1.0) -> float:
        """Return by how much a request would lengthen the time that all take together, itself included.

        All are those here and, if the request takes no free slot but joins a queue, so many who are *waiting* for
        one anywhere: each of them waits longer by as long as the machine is busy with one more.  What exceeds the time
        of the request alone on the machine, its own waits and the others', counts *queues_count* times.

        This is the truth as far as it can be had now: true speeds, what is truly held, the true lengths of answers.
        Who comes later and when the machine dies is not in it.  It is infinite for one that fails.
        """
        if self.machine.fails:
            return inf
        now = anyio.current_time()
        works = [self._work(job, now) for job in self._jobs]
        own = self._work(self._job(prompt, tokens, 0), now)
        alone, others = sum(self._finishes([own])), 0.0
        if len(works) >= self.machine.slots:
            others = waiting * max(own.reading, own.writing / self._written_tokens_per_second())
        more = sum(self._finishes([*works, own])) - sum(self._finishes(works))
        return alone + queues_count * (more - alone) + others

    def _written_tokens_per_second(self) -> float:
        """Return how many tokens all slots write together."""
        return self.machine.slots * self.machine.decode / (1.0 + SLOPE * (self.machine.slots - 1))

    def _finishes(self, works: Sequence[Work]) -> list[float]:
        return finishes(works, slots=self.machine.slots, decode=self.machine.decode, slope=SLOPE)

    def _job(self, prompt: str, tokens: int, done: int) -> _Job:
        ahead = [*self._held, *(job.prompt for job in self._jobs if not job.read)]
        unread = len(prompt) // CHARACTERS + done - _longest(prompt, ahead) // CHARACTERS
        return _Job(
            prompt=prompt,
            comes=anyio.current_time() + self.machine.rtt,
            unread=unread,
            left=tokens - done,
            slower=self.machine.slower(prompt),
        )

    def _work(self, job: _Job, now: float) -> Work:
        share = job.share(now)
        reading = 0.0
        if not job.read:
            reading = (job.unread * share if job.due else job.unread) / self.machine.prefill
        writing = (job.left - job.chunk * (1.0 - share)) if job.read else job.left
        return Work(max(job.comes - now, 0.0), reading, max(writing, 0.0) * job.slower)

    async def _answer(self, job: _Job, done: int) -> AsyncGenerator[Delta]:
        wanted = done + int(job.left)
        await self._read(job, done)
        self._writing += 1
        try:
            while done < wanted:
                tokens = min(CHUNK, wanted - done) if done else 1
                seconds = tokens / self.machine.decode * job.slower
                job.chunk = tokens
                await self._spend(job, seconds * (1.0 + SLOPE * (self._writing - 1)))
                self.work_seconds += seconds / self.machine.slots
                done += tokens
                job.left, job.chunk = wanted - done, 0
                yield Delta(text="x" * tokens, token_ids=(1,) * tokens)
        finally:
            self._writing -= 1
        usage = Usage(prompt_tokens=len(job.prompt) // CHARACTERS, completion_tokens=wanted)
        yield Delta(finish="stop", usage=usage)

    async def _read(self, job: _Job, resumed: int) -> None:
        async with self._engine:
            held = _longest(job.prompt, self._held) // CHARACTERS
            job.unread = tokens = len(job.prompt) // CHARACTERS + resumed - held
            self.held_tokens += held
            self.read_tokens += tokens
            await self._spend(job, tokens / self.machine.prefill)
            self.work_seconds += tokens / self.machine.prefill
            job.read = True
            self._keep(job.prompt)

    async def _spend(self, job: _Job, seconds: float) -> None:
        """Take so long, and die of a death that falls into it.

        Raises:
            EngineError: the machine went down meanwhile.

        """
        job.began = anyio.current_time()
        job.due = job.began + seconds
        await anyio.sleep(seconds)
        if not self._up() or job.began < self.machine.dies <= anyio.current_time():
            self._held.clear()
            raise EngineError(f"{self.machine.name} went down")

    def _up(self) -> bool:
        return not self.machine.dies <= anyio.current_time() < self.machine.returns

    def _keep(self, text: str) -> None:
        self._held.append(text)
        while sum(map(len, self._held)) > self.machine.memory * CHARACTERS and len(self._held) > 1:
            self._held.popleft()


def _longest(text: str, others: Sequence[str]) -> int:
    """Return how many characters of *text* one of *others* begins with, at most."""
    return max((_common(text, other) for other in others), default=0)


def _common(one: str, other: str) -> int:
    """Return how many characters both begin with; 0 where that is less than a glance sees."""
    if one[:_GLANCE] != other[:_GLANCE]:
        return 0
    shortest = min(len(one), len(other))
    begin, step = 0, _GLANCE  # steps that double: long texts with little in common are the rule
    while one[begin : begin + step] == other[begin : begin + step]:
        begin += step
        step *= 2
        if begin >= shortest:
            return shortest
    rest = range(1, min(step, shortest - begin) + 1)
    return begin + bisect_left(rest, 1, key=lambda more: one[begin : begin + more] != other[begin : begin + more])
