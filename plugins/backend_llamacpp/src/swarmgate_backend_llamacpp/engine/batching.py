"""Which tokens of which sequences go into the next batch.  Pure: no clock, no llama.cpp.

A step is one ``llama_decode``: one token of every answer being written, and as many tokens of
waiting prompts as the caller's budget allows, so that a long prompt does not freeze the others'
streams.  Sequences whose prompts begin alike share their KV (:mod:`.prefixes`): a prompt that a
neighbour is just computing waits for it rather than computing it twice.
"""

from __future__ import annotations

from collections import deque
from itertools import count

from swarmgate_backend_llamacpp.engine.cells import CellBook
from swarmgate_backend_llamacpp.engine.prefixes import PrefixTree, Tokens, common_length
from swarmgate_backend_llamacpp.engine.steps import Change, Clear, Compact, Copy, Forget, Park, Rows, Step, Task

#: A prompt waits for a neighbour that computes the same tokens only if it saves this many.
_WORTH_WAITING = 32


def sequences_for(slots: int, kept: int) -> int:
    """Return how many KV sequences to open: with spare ones, so that clearing can wait."""
    return slots + kept + (max(slots, 4) if kept else slots)


class Batcher:
    """Keeps the tasks and their sequences; says what to compute next."""

    def __init__(self, *, slots: int, kept: int, cells: int, batch_limit: int, exact: bool = True) -> None:
        """Write *slots* answers at once and keep *kept* prompts for their prefixes, 0 to share nothing."""
        self._slots, self._kept, self._cells, self._limit = slots, kept, cells, batch_limit
        self.sequences = sequences_for(slots, kept)
        self._book = CellBook(self.sequences, exact=exact)
        self._waiting: deque[Task] = deque()
        self._active: list[Task] = []
        self._changes: list[Change] = []
        self._heirs: dict[int, int] = {}
        self._parked = count(self.sequences)
        self._crowded = False
        self.tree = PrefixTree()

    def __repr__(self) -> str:
        tasks = f"{len(self._active)}/{self._slots} active, {len(self._waiting)} waiting"
        return f"<Batcher {tasks}, {self.tree!r}, {self._book!r}>"

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
        self._crowded = False
        sequence, task.sequence = task.sequence, -1
        if not self._kept or task.done == 0:
            self._drop(sequence)
            return
        self.tree.insert(sequence, task.path(task.done))
        idle = self._idle()
        for other in self.tree.covered(sequence):
            if other in idle:
                self._drop(other, inherited=self._heirs.get(sequence) == other)
        self._keep_within_bounds()

    def plan(self, budget: int) -> Step:
        """Return the next step, with at most *budget* tokens of prompts (at least one, if any wait)."""
        step = Step()
        if self._book.due(idle=not self._active):
            self._sweep()
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
            self._book.wrote(row.task.sequence, len(row.tokens))
            if self._kept and len(row.tokens) > 1:
                self.tree.insert(row.task.sequence, row.task.path(row.task.done))

    def rest(self) -> list[Change]:
        """Return, when nobody writes or waits, how to put all kept prompts aside.

        What lies in the cache is passed over for every token that is computed; kept prompts cost
        nothing outside of it, and come back in order when one is wanted.
        """
        if self.busy:
            return []
        for sequence in self._idle():
            if sequence < self.sequences:
                self._park(sequence)
        if self._book.dirty:
            self._sweep()
        changes, self._changes = self._changes, []
        return changes

    def lost(self, sequence: int, source: int) -> None:
        """Send the task of *sequence* back to wait: what *source* holds could not be written for it."""
        if source in self.tree and source >= self.sequences:  # it may have been several that wanted it
            self._drop(source)
        for task in self._active:
            if task.sequence == sequence:
                self._send_back(task)
                return

    def relieve(self) -> bool:
        """Make room in the KV: clear what was given up, forget a prefix, or send the youngest task back.

        Return False if nothing can be given up: one task alone fills the cache.
        """
        if not self._book.dirty:
            if idle := [holder for holder in self._idle() if holder < self.sequences]:
                self._park(idle[0])
            elif len(self._active) > 1:
                self._send_back(self._active[-1])
            else:
                return False
        self._sweep()
        return True

    def _send_back(self, task: Task) -> None:
        self._active.remove(task)
        self._drop(task.sequence)
        task.sequence, task.done = -1, 0
        self._waiting.appendleft(task)
        # Taken in again at once it would be sent back again at once: it waits until somebody has left.
        self._crowded = True

    def _admit(self) -> None:
        if self._crowded and self._active:
            return
        kept: deque[Task] = deque()
        while self._waiting and len(self._active) < self._slots:
            task = self._waiting.popleft()
            if not self._start(task):
                kept.append(task)
        self._waiting.extendleft(reversed(kept))

    def _start(self, task: Task) -> bool:
        path = task.path(task.length)
        match = self.tree.match(path[:-1], prefer=self._is_fresh) if self._kept else None
        held = match.length if match else 0
        if self._kept and self._better_soon(path, held):
            return False
        if match is not None:
            self.tree.touch(match.holder)
        task.sequence = self._take_sequence(keep=match.holder if match else -1)
        if task.target == 0:
            task.cached = min(held, len(task.prompt))
        task.done, task.target = held, len(path)
        if match is not None:
            self._share(match.holder, task.sequence, held)
            self.tree.insert(task.sequence, path[:held])
        self._active.append(task)
        return True

    def _share(self, source: int, target: int, length: int) -> None:
        anew = source >= self.sequences or self._book.stale(source)
        self._changes.append(Copy(source, target, length, anew=anew))
        self._heirs.pop(target, None)
        if anew:
            self._book.wrote(target, length)
        elif length == self.tree.length(source):
            self._heirs[target] = source

    def _better_soon(self, path: Tokens, held: int) -> bool:
        """Return whether a neighbour is computing a longer prefix of *path* right now."""
        for other in self._active:
            if other.prefilling:
                shared = min(common_length(other.path(other.length), path), len(path) - 1)
                if shared - max(held, other.done) >= _WORTH_WAITING:
                    return True
        return False

    def _take_sequence(self, *, keep: int = -1) -> int:
        if not self._book.free and not self._book.dirty:
            self._park(next(holder for holder in self._idle() if holder != keep and holder < self.sequences))
        if not self._book.free:
            self._sweep()
        return self._book.take()

    def _drop(self, sequence: int, *, inherited: bool = False) -> None:
        self.tree.remove(sequence)
        if sequence >= self.sequences:
            self._changes.append(Forget(sequence))
        else:
            self._book.give_up(sequence, inherited=inherited)

    def _park(self, sequence: int) -> None:
        holder = next(self._parked)
        self._changes.append(Park(sequence, holder))
        self.tree.rename(sequence, holder)
        self._book.give_up(sequence)

    def _keep_within_bounds(self) -> None:
        """Forget the prompts not used for longest: of too many, and of more tokens than the cache holds."""
        idle = self._idle()
        tokens = sum(map(self.tree.length, idle))
        for number, holder in enumerate(idle[:-1]):
            if len(idle) - number <= self._kept and tokens <= self._cells:
                return
            tokens -= self.tree.length(holder)
            self._drop(holder)

    def _idle(self) -> list[int]:
        """Return the holders that only keep a prefix, parked ones too, the one not used for longest first."""
        running = {task.sequence for task in self._active}
        return [holder for holder in self.tree.holders() if holder not in running]

    def _is_fresh(self, holder: int) -> bool:
        return holder < self.sequences and not self._book.stale(holder)

    def _sweep(self) -> None:
        """Free what was given up, and put the running answers in order again, for they are stale then."""
        self._changes.extend(map(Clear, self._book.sweep()))
        stale = [task for task in self._active if task.done and self._book.stale(task.sequence)]
        # What they share they would have twice then; without room for that they stay as they are.
        if stale and sum(task.done for task in self._active) < self._cells:
            self._changes.append(Compact(tuple(task.sequence for task in stale)))
            for task in stale:
                self._book.rewrote(task.sequence, task.done)

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
