"""What goes into the next batch, tried against a simulated KV cache."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_cache import SimulatedCache
from swarmgate_backend_llamacpp.engine.batching import Batcher
from swarmgate_backend_llamacpp.engine.steps import Task, carry_out

Prompt = tuple[int, ...]


def joined(head: list[int], tail: list[int]) -> Prompt:
    """Return *head* eight times over, so that prompts often begin alike, and *tail*."""
    return tuple(head * 8 + tail)


prompts = st.builds(
    joined,
    st.lists(st.integers(0, 1), min_size=1, max_size=6),
    st.lists(st.integers(0, 3), max_size=20),
)


class Run:
    """Drives a batcher as the engine's loop does."""

    def __init__(self, batcher: Batcher, cells: int = 4096) -> None:
        self.batcher, self.cache = batcher, SimulatedCache(cells)
        self.answers: dict[int, list[int]] = {}
        self.disorder = 0

    def step(self, budget: int, length: int) -> None:
        """Compute one step; answers end after *length* tokens."""
        step = self.batcher.plan(budget)
        lost = carry_out(step.changes, self.cache.change)
        for sequence, source in lost:
            self.batcher.lost(sequence, source)
        if lost or not step.rows:
            return
        if not self.cache.decode(step):
            assert self.batcher.relieve()
            return
        self.batcher.computed(step)
        for row in step.rows:
            self.disorder += not self.cache.in_order(row.task.sequence)
            if row.sample:
                row.task.answer.append(self.cache.next_token(row.task.sequence))
                if len(row.task.answer) >= length:
                    self.batcher.leave(row.task)
                    self.answers[row.task.number] = row.task.answer

    def rest(self) -> None:
        """Put aside what is kept, as the loop does when there is nothing to do."""
        assert not carry_out(self.batcher.rest(), self.cache.change)
        if not self.batcher.busy:
            assert not any(self.cache.cells)

    def finish(self, budget: int, length: int) -> None:
        """Compute until all is written."""
        for _ in range(20_000):
            if not self.batcher.busy:
                self.rest()
                return
            self.step(budget, length)
        pytest.fail(f"never ends: {self.batcher!r}")


def alone(prompt: Prompt, length: int) -> list[int]:
    """Return the answer to *prompt* with nobody else about."""
    run = Run(Batcher(slots=1, kept=0, cells=4096, batch_limit=64))
    run.batcher.submit(Task(1, prompt))
    run.finish(64, length)
    return run.answers[1]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(prompts, st.integers(0, 4)), min_size=1, max_size=12),
    st.integers(1, 4),
    st.integers(0, 3),
    st.integers(1, 64),
    st.sampled_from([100, 160, 4096]),
    st.booleans(),
)
def test_company_changes_no_answer(
    arrivals: list[tuple[Prompt, int]], slots: int, kept: int, budget: int, cells: int, exact: bool
) -> None:
    """Whoever else is there, whatever is shared, kept, evicted or sent back: each answer is that of being alone."""
    run = Run(Batcher(slots=slots, kept=kept, cells=cells, batch_limit=64, exact=exact), cells)
    for number, (prompt, pause) in enumerate(arrivals):
        run.batcher.submit(Task(number, prompt))
        for _ in range(pause):
            run.step(budget, 6)
        if not run.batcher.busy:
            run.rest()
    run.finish(budget, 6)
    assert run.answers == {number: alone(prompt, 6) for number, (prompt, _) in enumerate(arrivals)}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(prompts, st.integers(0, 9)), min_size=2, max_size=24), st.integers(1, 4), st.integers(1, 3))
def test_cells_lie_in_order_while_there_is_room(arrivals: list[tuple[Prompt, int]], slots: int, kept: int) -> None:
    """With room to spare every row is computed upon cells that lie in the order of their positions."""
    run = Run(Batcher(slots=slots, kept=kept, cells=8192, batch_limit=64, exact=True), cells=8192)
    for number, (prompt, pause) in enumerate(arrivals):
        run.batcher.submit(Task(number, prompt))
        for _ in range(pause):
            run.step(16, 30)
    run.finish(16, 30)
    assert run.disorder == 0


def test_long_use_sweeps_and_stays_in_order() -> None:
    """Over many rounds cells are freed in sweeps, kept prompts move up, and order is never lost."""
    run = Run(Batcher(slots=2, kept=2, cells=4096, batch_limit=64, exact=True), cells=4096)
    for number in range(60):
        head = (number % 2,) * 40
        run.batcher.submit(Task(number, (*head, number % 7, 5)))
        run.finish(32, 50)
    assert run.disorder == 0
    assert run.cache.copied_anew > 0
    assert len(run.answers) == 60


def test_a_prompt_is_shared_with_those_that_begin_alike() -> None:
    """Of prompts with one long beginning only the first computes it, even when they come together.

    They wait until so little of it is left (here 8 tokens) that waiting saves nothing.
    """
    run = Run(Batcher(slots=4, kept=2, cells=4096, batch_limit=64))
    head = tuple(range(50)) * 4
    tasks = [Task(number, (*head, 60 + number)) for number in range(4)]
    for task in tasks:
        run.batcher.submit(task)
    run.finish(64, 3)
    assert [task.cached for task in tasks] == [0, 192, 192, 192]


def test_without_kept_prompts_nothing_is_shared() -> None:
    """A model whose state cannot be cut computes every prompt itself."""
    run = Run(Batcher(slots=2, kept=0, cells=4096, batch_limit=64))
    tasks = [Task(number, (1,) * 100) for number in range(3)]
    for task in tasks:
        run.batcher.submit(task)
    run.finish(64, 3)
    assert [task.cached for task in tasks] == [0, 0, 0]


def test_a_long_prompt_does_not_stop_a_short_one() -> None:
    """The budget goes half to the oldest prompt and half to the shortest, so a short one starts soon."""
    run = Run(Batcher(slots=2, kept=0, cells=4096, batch_limit=512))
    run.batcher.submit(Task(1, tuple(range(1000))))
    run.step(64, 5)
    run.batcher.submit(Task(2, (7,) * 30))
    run.step(64, 5)
    long, short = run.batcher.active
    assert (len(long.answer), len(short.answer)) == (0, 1)


def test_a_step_has_a_token_of_every_answer_and_no_more_prompt_than_the_budget() -> None:
    """Answers are never starved by prompts, and prompts never by answers."""
    run = Run(Batcher(slots=3, kept=0, cells=4096, batch_limit=512))
    for number in range(2):
        run.batcher.submit(Task(number, (number,) * 10))
    run.step(64, 50)
    run.batcher.submit(Task(9, tuple(range(500))))
    step = run.batcher.plan(20)
    assert [(row.task.number, len(row.tokens)) for row in step.rows] == [(0, 1), (1, 1), (9, 20)]
    assert (step.size, step.prefill) == (22, 20)


def test_whoever_leaves_frees_its_place() -> None:
    """A cancelled answer, running or waiting, is gone at once, and the next one starts."""
    run = Run(Batcher(slots=1, kept=1, cells=4096, batch_limit=64))
    first, second, third = (Task(number, (number,) * 20) for number in range(3))
    for task in (first, second, third):
        run.batcher.submit(task)
    run.step(64, 50)
    run.batcher.leave(first)
    run.batcher.leave(second)
    run.batcher.leave(second)
    run.step(64, 50)
    assert run.batcher.active == (third,)
    assert run.batcher.waiting == ()


def test_an_answer_is_taken_up_where_another_engine_left_it() -> None:
    """With the tokens so far given, the rest is what the first engine would have written."""
    whole = alone((1, 2, 3), 12)
    run = Run(Batcher(slots=1, kept=1, cells=4096, batch_limit=64))
    run.batcher.submit(Task(1, (1, 2, 3), whole[:5]))
    run.finish(64, 12)
    assert run.answers[1] == whole


def test_one_task_that_fills_the_cache_is_not_sent_away() -> None:
    """With nobody else to give way there is nothing to relieve."""
    run = Run(Batcher(slots=2, kept=1, cells=4096, batch_limit=64), cells=64)
    run.batcher.submit(Task(1, (1,) * 60))
    run.step(64, 50)
    assert not run.batcher.relieve()


def test_slots_and_sequences_are_counted() -> None:
    """There are sequences for slots, kept prompts, and some to spare."""
    assert Batcher(slots=4, kept=16, cells=4096, batch_limit=64).sequences == 24
    assert Batcher(slots=4, kept=0, cells=4096, batch_limit=64).sequences == 8
