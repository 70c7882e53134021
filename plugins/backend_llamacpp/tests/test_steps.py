from __future__ import annotations

from swarmgate_backend_llamacpp.engine.batching import Batcher
from swarmgate_backend_llamacpp.engine.steps import Change, Clear, Compact, Copy, Forget, Task, carry_out


def test_what_is_taken_from_the_lost_is_lost_too() -> None:
    """Whoever was to be filled from a sequence that found no room is not tried, and is named with its source."""
    tried: list[Change] = []
    changes: list[Change] = [
        Clear(1),
        Compact((2, 3)),
        Copy(2, 4, 8),
        Copy(4, 5, 8),
        Copy(3, 6, 8),
        Copy(9, 7, 8, anew=True),
    ]

    def do(change: Change) -> list[int]:
        tried.append(change)
        if isinstance(change, Compact):
            return [2]
        return [7] if change == changes[5] else []

    assert carry_out(changes, do) == [(2, 2), (4, 2), (5, 4), (7, 9)]
    assert tried == [changes[0], changes[1], changes[4], changes[5]]


def test_what_several_wanted_in_vain_is_forgotten_once() -> None:
    """Two tasks that were to be filled from one parked prompt are both sent back; the prompt is let go of once."""
    batcher = Batcher(slots=2, kept=2, cells=4096, batch_limit=64)
    first = Task(1, tuple(range(40)))
    batcher.submit(first)
    batcher.computed(batcher.plan(64))
    batcher.leave(first)
    batcher.rest()
    (parked,) = batcher.tree.holders()
    for number in (2, 3):
        batcher.submit(Task(number, (*range(40), number)))
    batcher.plan(64)
    taken = [task.sequence for task in batcher.active]
    for sequence in taken:
        batcher.lost(sequence, parked)
    assert not batcher.active
    assert batcher.plan(64).changes.count(Forget(parked)) == 1
