"""The engine's heart: take what is new, compute one step, draw, say; and again."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from swarmgate.api import Delta, Finish, Frame, Usage

from swarmgate_backend_llamacpp.engine.batching import Batcher
from swarmgate_backend_llamacpp.engine.job import Job
from swarmgate_backend_llamacpp.engine.model import Context, Model
from swarmgate_backend_llamacpp.engine.pace import Pace
from swarmgate_backend_llamacpp.engine.sampling import log_probabilities, row_logits
from swarmgate_backend_llamacpp.engine.steps import Change, Clear, Compact, Copy, Forget, Park, Rows, Step, carry_out
from swarmgate_backend_llamacpp.messages import Failed, Piece


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The client of *number* is gone."""

    number: int


Inbox = queue.SimpleQueue[Job | Cancelled]


class Loop:
    """Writes all answers, one token of each per step."""

    def __init__(
        self, model: Model, context: Context, batcher: Batcher, pace: Pace, say: Callable[[Sequence[Frame]], None]
    ) -> None:
        self._model, self._context, self._batcher, self._pace, self._say = model, context, batcher, pace, say
        self._jobs: dict[int, Job] = {}
        self._news: list[Frame] = []

    def __repr__(self) -> str:
        return f"<Loop {len(self._jobs)} jobs, {self._batcher!r}>"

    def run(self, inbox: Inbox) -> None:
        """Work for ever."""
        while True:
            self.take(inbox)
            self.step()

    def take(self, inbox: Inbox) -> None:
        """Take in all that is new; wait for something if there is nothing to do."""
        while True:
            if not self._batcher.busy and inbox.empty():
                carry_out(self._batcher.rest(), self._change)
            try:
                item = inbox.get(block=not self._batcher.busy)
            except queue.Empty:
                return
            if isinstance(item, Cancelled):
                job = self._jobs.get(item.number)
                if job is not None:
                    self._end(job)
            elif len(item.task.answer) >= item.limit:
                item.sampler.close()
                self._say([self._last_piece(item, item.text.finish("length"))])
            else:
                self._jobs[item.number] = item
                self._batcher.submit(item.task)

    def step(self) -> None:
        """Compute one step and say what came of it."""
        step = self._batcher.plan(self._pace.budget(self._batcher.writing))
        lost = carry_out(step.changes, self._change)
        for sequence, source in lost:
            self._batcher.lost(sequence, source)
        if lost or not step.rows:
            return
        outputs = self._fill(step)
        began = time.perf_counter()
        if not self._context.decode():
            self._make_room()
            return
        self._batcher.computed(step)
        for rows, index in outputs:
            self._draw(self._jobs[rows.task.number], index)
        news, self._news = self._news, []
        if news:
            self._say(news)
        prompt = step.prefill
        self._pace.measured(prompt=prompt, writing=step.size - prompt, seconds=time.perf_counter() - began)

    def _change(self, change: Change) -> list[int]:
        """Change who holds which cells; return the sequences that found no room."""
        match change:
            case Clear(sequence=sequence):
                self._context.clear(sequence)
            case Park(sequence=sequence, holder=holder):
                self._context.park(sequence, holder)
            case Forget(holder=holder):
                self._context.forget(holder)
            case Compact(sequences=sequences):
                return list(self._context.compact(sequences))
            case Copy(source=source, target=target, length=length, anew=anew):
                if anew and self._context.copy_anew(source, target, length):
                    return []
                if self._context.is_parked(source):
                    return [target]
                # Without room for cells of its own it shares them: the same answer but for near ties.
                self._context.copy(source, target, length)
        return []

    def _fill(self, step: Step) -> list[tuple[Rows, int]]:
        """Put the step's tokens into the batch; return which rows to draw from."""
        self._context.begin()
        outputs: list[tuple[Rows, int]] = []
        for rows in step.rows:
            index = self._context.add(rows.tokens, rows.start, rows.task.sequence, last=rows.sample)
            if rows.sample:
                outputs.append((rows, index))
        return outputs

    def _make_room(self) -> None:
        if self._batcher.relieve():
            return
        for task in self._batcher.active:  # one alone, and it fills the cache
            job = self._jobs[task.number]
            self._end(job)
            message = f"the KV cache of {self._context.cells} tokens is full; serve the model with a larger kv_size"
            self._say([Failed(job.number, "EngineError", message)])

    def _draw(self, job: Job, index: int) -> None:
        """Draw the next token of *job* from row *index* of the batch."""
        task = job.task
        token = job.sampler.sample(self._context.handle, index)
        if token in self._model.endings:
            self._finish(job, "stop", Delta())
            return
        first = not task.answer
        task.answer.append(token)
        delta = job.text.feed(token)
        if job.request.logprobs is not None or first:
            delta = self._with_extras(job, delta, index, token, first=first)
        if job.text.stopped:
            self._finish(job, "stop", delta)
        elif len(task.answer) >= job.limit:
            self._finish(job, "length", delta)
        else:
            self._news.append(Piece(job.number, delta))

    def _with_extras(self, job: Job, delta: Delta, index: int, token: int, *, first: bool) -> Delta:
        logprobs = delta.logprobs
        if job.request.logprobs is not None:
            logits = row_logits(self._context.handle, index, self._model.vocabulary)
            logprobs = (log_probabilities(logits, token, job.request.logprobs, self._model.spoken_piece),)
        return Delta(
            text=delta.text,
            reasoning=delta.reasoning,
            tool_calls=delta.tool_calls,
            token_ids=delta.token_ids,
            logprobs=logprobs,
            seed=job.seed if first else None,
        )

    def _finish(self, job: Job, reason: Finish, last: Delta) -> None:
        rest = job.text.finish(reason)
        whole = Delta(
            text=last.text + rest.text,
            reasoning=last.reasoning + rest.reasoning,
            tool_calls=last.tool_calls + rest.tool_calls,
            token_ids=last.token_ids,
            logprobs=last.logprobs,
            seed=last.seed,
            finish=rest.finish,
        )
        self._end(job)
        self._news.append(self._last_piece(job, whole))

    def _last_piece(self, job: Job, delta: Delta) -> Piece:
        task, met = job.task, job.text.met
        usage = Usage(prompt_tokens=len(task.prompt), completion_tokens=len(task.answer), cached_tokens=task.cached)
        return Piece(
            job.number,
            Delta(
                text=delta.text,
                reasoning=delta.reasoning,
                tool_calls=delta.tool_calls,
                token_ids=delta.token_ids,
                logprobs=delta.logprobs,
                seed=delta.seed if delta.seed is not None or task.answer else job.seed,
                finish=delta.finish,
                stop=met if delta.finish == "stop" and met in job.request.stop else "",  # not the template's own
                usage=usage,
            ),
        )

    def _end(self, job: Job) -> None:
        del self._jobs[job.number]
        self._batcher.leave(job.task)
        job.sampler.close()
