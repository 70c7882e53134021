"""Who gets which workers, and how much of this machine, when several models want some.  Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from swarmgate.chat import ModelCard
from swarmgate.contracts import Splitter
from swarmgate.errors import Unavailable
from swarmgate.nouns import NodeId, Service, Word, Worker
from swarmgate.split import SplitPlan

Key = tuple[NodeId, Service, str]
Decision = SplitPlan | Unavailable


class Wish(Word, frozen=True):
    """A model that is to be loaded: *card* with its placement filled in.

    *held* is the plan in force, if there is one.  One that is *fixed* keeps it, whoever else is there.
    *without* are keys of workers it shall do without.
    """

    name: str
    card: ModelCard
    held: SplitPlan | None = None
    fixed: bool = False
    without: frozenset[Key] = frozenset()


def memory_of(worker: Worker) -> int:
    """Return the memory *worker* says it has, in bytes, 0 if it says nothing that can be read."""
    label = worker.offer.labels.get("memory_bytes", "")
    return int(label) if label.isascii() and label.isdecimal() and len(label) < 19 else 0  # noqa: PLR2004  # int64


def held_here(plan: SplitPlan) -> int:
    """Return how many bytes of this machine's memory *plan* takes, as far as its splitter said."""
    return sum(portion.total for portion in plan.portions if portion.worker is None)


def computing_here(plan: SplitPlan) -> int:
    """Return what of :func:`held_here` is no weights: those are mapped from a file and count as free memory."""
    return sum(portion.cache + portion.compute for portion in plan.portions if portion.worker is None)


def same(one: SplitPlan | None, two: SplitPlan | None) -> bool:
    """Return whether both put the same parts in the same places; reasons name numbers that always change."""
    if one is None or two is None:
        return one is two
    return _places(one) == _places(two)


def stands(plan: SplitPlan, crew: Sequence[Worker]) -> bool:
    """Return whether all workers of *plan* are there, where they were."""
    there = {worker.offer.key: worker.endpoint for worker in crew}
    return all(there.get(worker.offer.key) == worker.endpoint for worker in plan.workers)


def available(wish: Wish, crew: Sequence[Worker], taken: frozenset[Key] = frozenset()) -> list[Worker]:
    """Return whom of *crew* the model may have, the largest first: its own, and those nobody has.

    *taken* are those of our other models.  What it has already counts with the memory it had when it was taken,
    for by now the model itself is in there.
    """
    own = {worker.offer.key: worker for worker in (wish.held.workers if wish.held else ())}
    usable: list[Worker] = []
    for worker in crew:
        key, mine = worker.offer.key, own.get(worker.offer.key)
        if key in wish.without:
            continue
        if mine is not None and mine.endpoint == worker.endpoint:
            usable.append(mine)
        elif key not in taken and not worker.offer.labels.get("leased_by"):
            usable.append(worker)
    return sorted(usable, key=lambda worker: (-memory_of(worker), worker.offer.key))


def allot(wishes: Sequence[Wish], here: int, crew: Sequence[Worker], splitter: Splitter) -> dict[str, Decision]:
    """Return a plan for each of *wishes* by its name, or why there is none.

    *here* is how many bytes of this machine models may take, those that are loaded included.  Those that have a
    plan come first, so that nobody is driven out by a newcomer; then those that fit here, in their order.  Of the
    rest each gets as few of the free workers as it can do with, and what is left over goes, the largest first, to
    whoever has the least memory for its weights.
    """
    decided: dict[str, Decision] = {}
    left = here
    rest: list[Wish] = []
    for wish in sorted(wishes, key=lambda wish: (not wish.fixed, wish.held is None)):
        try:
            if wish.fixed and wish.held is not None:
                plan = wish.held
            elif wish.card.placement == "split":
                rest.append(wish)
                continue
            else:
                plan = splitter.plan(wish.card, left, ())
        except Unavailable:
            rest.append(wish)
        else:
            decided[wish.name] = plan
            left = max(left - held_here(plan), 0)
    return decided | _share_out(rest, left, crew, splitter, _taken(wishes, rest))


def _taken(wishes: Sequence[Wish], rest: Sequence[Wish]) -> frozenset[Key]:
    """Return the workers of models that keep what they have."""
    kept = [wish.held for wish in wishes if wish not in rest and wish.fixed and wish.held is not None]
    return frozenset(worker.offer.key for plan in kept for worker in plan.workers)


def _share_out(
    rest: Sequence[Wish], here: int, crew: Sequence[Worker], splitter: Splitter, taken: frozenset[Key]
) -> dict[str, Decision]:
    weights = sum(wish.card.weight_bytes for wish in rest) or 1
    parts = {wish.name: here * (wish.card.weight_bytes or 1) // weights if len(rest) > 1 else here for wish in rest}
    order = sorted(rest, key=lambda wish: (wish.held is None, -wish.card.weight_bytes, wish.name))
    given: dict[str, list[Worker]] = {}
    plans: dict[str, Decision] = {}
    for wish in order:
        others = taken | {worker.offer.key for workers in given.values() for worker in workers} | _held_by(order, wish)
        usable = available(wish, crew, frozenset(others))
        mine = [worker for worker in usable if wish.held is not None and worker in wish.held.workers]
        free = [worker for worker in usable if worker not in mine]
        plans[wish.name], given[wish.name] = _least(wish.card, parts[wish.name], mine, free, splitter)
    _hand_out(order, plans, given, parts, crew, splitter, taken)
    return plans


def _held_by(wishes: Sequence[Wish], but: Wish) -> set[Key]:
    """Return the workers that other models have."""
    plans = [wish.held for wish in wishes if wish is not but and wish.held is not None]
    return {worker.offer.key for plan in plans for worker in plan.workers}


def _least(
    card: ModelCard, here: int, mine: Sequence[Worker], free: Sequence[Worker], splitter: Splitter
) -> tuple[Decision, list[Worker]]:
    """Return a plan with as few of *free* as will do, and whom it may use; or the refusal with all of them."""
    refusal: Unavailable | None = None
    for count in range(len(free) + 1):
        workers = [*mine, *free[:count]]
        try:
            return splitter.plan(card, here, workers), workers
        except Unavailable as error:
            refusal = error
    return refusal or Unavailable(f"nothing can be said of {card.name!r}"), []


def _hand_out(
    wishes: Sequence[Wish],
    plans: dict[str, Decision],
    given: dict[str, list[Worker]],
    parts: dict[str, int],
    crew: Sequence[Worker],
    splitter: Splitter,
    taken: frozenset[Key],
) -> None:
    """Give what nobody needs to whoever is served and has least; changes *plans* and *given*."""
    served = [wish for wish in wishes if isinstance(plans[wish.name], SplitPlan)]
    while True:
        out = taken | {worker.offer.key for workers in given.values() for worker in workers}
        wanting = [
            (memory / (wish.card.weight_bytes or 1), wish, extra)
            for wish in served
            for memory in [parts[wish.name] + sum(map(memory_of, given[wish.name]))]
            for extra in available(wish, crew, frozenset(out | _held_by(wishes, wish)))[:]
            if extra.offer.key not in out
        ]
        if not wanting:
            return
        _, wish, extra = min(wanting, key=lambda each: (each[0], each[1].name, -memory_of(each[2]), each[2].offer.key))
        given[wish.name] = [*given[wish.name], extra]
        try:
            plans[wish.name] = splitter.plan(wish.card, parts[wish.name], given[wish.name])
        except Unavailable:
            continue  # the plan without it stands


def _places(plan: SplitPlan) -> dict[object, float]:
    return {
        None if share.worker is None else (share.worker.offer.key, share.worker.endpoint): share.fraction
        for share in plan.shares
    }


def placed(card: ModelCard, placement: str) -> ModelCard:
    """Return *card* with *placement* as what is wanted, unless it says so itself."""
    return card if card.placement is not None else msgspec.structs.replace(card, placement=placement)
