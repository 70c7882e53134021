"""Which tokens of which sequences go into the next batch.  Pure: no clock, no llama.cpp.

A step is one ``llama_decode``: one token of every answer being written, and as many tokens of
waiting prompts as the caller's budget allows, so that a long prompt does not freeze the others'
streams.  Sequences whose prompts begin alike share their KV (:mod:`.prefixes`): a prompt that a
neighbour is just computing waits for it rather than computing it twice.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from swarmgate_backend_llamacpp.engine.prefixes import PrefixTree, Tokens, common_length

#: A prompt waits for a neighbour that computes the same tokens only if it saves this many.
_WORTH_WAITING = 32


@dataclass(slots=True, eq=False)
class Task:
    """One answer being written: *tokens* are prompt and answer, the first *done* are in the KV."""

    number: int
    prompt: Tokens
    answer: list[int] = field(default_factory=list[int])
    sequence: int = -1
    done: int = 0
    cached: int = 0
    #: Tokens that had to be computed before the answer could begin, or go on after a preemption.
    target: int = 0

    def __repr__(self) -> str:
        return f"<Task {self.number} seq {self.sequence} {self.done}/{self.length}, prompt {len(self.prompt)}>"

    @property
    def length(self) -> int:
        """Return the number of tokens of prompt and answer so far."""
        return len(self.prompt) + len(self.answer)

    @property
    def prefilling(self) -> bool:
        """Return whether more than the newest token is still to be computed."""
        return self.length - self.done > 1 or self.done < self.target

    def path(self, end: int) -> Tokens:
        """Return the first *end* tokens of prompt and answer."""
        if end <= len(self.prompt):
            return self.prompt[:end]
        return self.prompt + tuple(self.answer[: end - len(self.prompt)])

    def tokens(self, start: int, end: int) -> list[int]:
        """Return the tokens at positions [start, end)."""
        split = len(self.prompt)
        return [*self.prompt[start:end], *self.answer[max(0, start - split) : max(0, end - split)]]


@dataclass(frozen=True, slots=True)
class Clear:
    """Let *sequence* hold nothing any more."""

    sequence: int


@dataclass(frozen=True, slots=True)
class Copy:
    """Let *target* use the first *length* cells of *source*."""

    source: int
    target: int
    length: int


@dataclass(frozen=True, slots=True)
class Rows:
    """Tokens of one sequence at positions from *start*; *sample* asks for logits of the last."""

    task: Task
    start: int
    tokens: list[int]
    sample: bool


@dataclass(slots=True)
class Step:
    """What one decode does: first the changes of who holds which cells, in order; then the rows."""

    changes: list[Clear | Copy] = field(default_factory=list[Clear | Copy])
    rows: list[Rows] = field(default_factory=list[Rows])

    @property
    def size(self) -> int:
        """Return the number of tokens to compute."""
        return sum(len(row.tokens) for row in self.rows)

    @property
    def prefill(self) -> int:
        """Return how many of them belong to prompts."""
        return sum(len(row.tokens) for row in self.rows if len(row.tokens) > 1)


class Batcher:
    """Keeps the tasks and their sequences; says what to compute next."""

    def __init__(self, *, slots: int, sequences: int, batch_limit: int, share: bool = True) -> None:
        """Write *slots* answers at once, over *sequences* KV sequences (the rest keep prefixes).

        Sharing needs at least one sequence more than slots, so that there is always one to give
        up other than the one whose prefix is wanted.
        """
        if slots < 1 or sequences < slots + share:
            raise ValueError(f"{slots} slots need {slots + share} sequences, got {sequences}")
        self._slots, self._limit, self._share = slots, batch_limit, share
        self._free = deque(range(sequences))
        self._waiting: deque[Task] = deque()
        self._active: list[Task] = []
        self._changes: list[Clear | Copy] = []
        self.tree = PrefixTree()

    def __repr__(self) -> str:
        return f"<Batcher {len(self._active)}/{self._slots} active, {len(self._waiting)} waiting, {self.tree!r}>"

    @property
    def busy(self) -> bool:
        """Return whether there is anything to compute."""
        return bool(self._active or self._waiting)

    @property
    def writing(self) -> int:
        """Return how many answers are past their prompt."""
        return sum(1 for task in self._active if not task.prefilling)

    @property
    def active(self) -> tuple[Task, ...]:
        """Return the tasks that have a sequence, in order of arrival."""
        return tuple(self._active)

    @property
    def waiting(self) -> tuple[Task, ...]:
        """Return the tasks without one, next first."""
        return tuple(self._waiting)

    def submit(self, task: Task) -> None:
        """Queue *task*; its *answer* may hold tokens that are out already (resume)."""
        self._waiting.append(task)

    def leave(self, task: Task) -> None:
        """Take *task* out, finished or not; what it computed stays known as a prefix."""
        if task in self._waiting:
            self._waiting.remove(task)
            return
        if task not in self._active:
            return
        self._active.remove(task)
        sequence, task.sequence = task.sequence, -1
        if not self._share or task.done == 0:
            self._drop(sequence)
            return
        self.tree.insert(sequence, task.path(task.done))
        running = {other.sequence for other in self._active}
        for other in self.tree.covered(sequence):
            if other not in running:
                self._drop(other)

    def plan(self, budget: int) -> Step:
        """Return the next step, with at most *budget* tokens of prompts (at least one, if any wait)."""
        step = Step()
        self._admit()
        for task in self._active:
            if not task.prefilling:
                step.rows.append(Rows(task, task.done, task.tokens(task.done, task.length), sample=True))
        self._prefill(step, max(1, min(budget, self._limit - len(step.rows))))
        step.changes, self._changes = self._changes, []
        return step

    def computed(self, step: Step) -> None:
        """Note that *step* was computed; its rows are in the KV now."""
        for row in step.rows:
            row.task.done += len(row.tokens)
            if self._share and len(row.tokens) > 1:
                self.tree.insert(row.task.sequence, row.task.path(row.task.done))

    def relieve(self) -> bool:
        """Make room in the KV: forget the oldest prefix, else send the youngest task back to wait.

        Return False if nothing can be given up: one task alone fills the cache.
        """
        running = {task.sequence for task in self._active}
        for holder in self.tree.holders():
            if holder not in running:
                self._drop(holder)
                return True
        if len(self._active) < 2:  # noqa: PLR2004 -- the last one is not sent away for nobody
            return False
        youngest = self._active.pop()
        self._drop(youngest.sequence)
        youngest.sequence, youngest.done = -1, 0
        self._waiting.appendleft(youngest)
        return True

    def _admit(self) -> None:
        kept: deque[Task] = deque()
        while self._waiting and len(self._active) < self._slots:
            task = self._waiting.popleft()
            if not self._start(task):
                kept.append(task)
        self._waiting.extendleft(reversed(kept))

    def _start(self, task: Task) -> bool:
        path = task.path(task.length)
        match = self.tree.match(path[:-1]) if self._share else None
        held = match.length if match else 0
        if self._share and self._better_soon(path, held):
            return False
        if match is not None:
            self.tree.touch(match.holder)
        task.sequence = self._take_sequence(keep=match.holder if match else -1)
        if task.target == 0:
            task.cached = min(held, len(task.prompt))
        task.done, task.target = held, len(path)
        if match is not None:
            self._changes.append(Copy(match.holder, task.sequence, held))
            self.tree.insert(task.sequence, path[:held])
        self._active.append(task)
        return True

    def _better_soon(self, path: Tokens, held: int) -> bool:
        """Return whether a neighbour is computing a longer prefix of *path* right now."""
        for other in self._active:
            if other.prefilling:
                shared = min(common_length(other.path(other.length), path), len(path) - 1)
                if shared - max(held, other.done) >= _WORTH_WAITING:
                    return True
        return False

    def _take_sequence(self, *, keep: int) -> int:
        if not self._free:
            running = {task.sequence for task in self._active}
            self._drop(next(h for h in self.tree.holders() if h not in running and h != keep))
        return self._free.popleft()

    def _drop(self, sequence: int) -> None:
        self.tree.remove(sequence)
        self._changes.append(Clear(sequence))
        self._free.append(sequence)

    def _prefill(self, step: Step, budget: int) -> None:
        """Share *budget*: half for the longest waiting prompt, the rest for the shortest first."""
        prompts = [task for task in self._active if task.prefilling]
        grants: dict[int, int] = {}
        if prompts:
            oldest = prompts[0]
            grants[oldest.number] = min(oldest.length - oldest.done, max(1, budget // 2))
            budget -= grants[oldest.number]
        for task in sorted(prompts, key=lambda task: task.length - task.done):
            given = grants.get(task.number, 0)
            more = min(budget, task.length - task.done - given)
            grants[task.number] = given + more
            budget -= more
        for task in prompts:
            if count := grants[task.number]:
                end = task.done + count
                step.rows.append(Rows(task, task.done, task.tokens(task.done, end), sample=end == task.length))
