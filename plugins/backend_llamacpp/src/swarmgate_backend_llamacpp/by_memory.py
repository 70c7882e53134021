"""Divides a model over this machine and its workers in proportion to their memory.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import log2
from typing import NamedTuple

from msgspec.structs import replace
from swarmgate.api import Footprint, ModelCard, Share, SplitPlan, Unavailable, Worker, readable

from swarmgate_backend_llamacpp.layout import footprint_of, layers_of

#: llama.cpp's GGML_RPC_MAX_SERVERS.
MOST_WORKERS = 16
_LONGEST_LABEL = 18
#: Ranks of memory in each doubling.
_RANKS = 8


class _Place(NamedTuple):
    """Somewhere layers may go: all its memory, and what of it is left for layers."""

    worker: Worker | None
    memory: int
    room: int


class ByMemory:
    """Keeps a model here if it fits, else gives every place whole layers in proportion to its memory.

    What a place gets is as near as whole layers allow: the squares of the distances, in bytes, add up
    to the least, which for equal layers is the method of the largest remainder.  No place gets more
    than it holds, KV cache and computing included.  This machine has the first layers; workers
    follow from the smallest to the largest, since the last one holds the output as well; those of about the same
    memory always in the same order.  Workers that
    cannot hold a single layer, and those beyond the *most_workers* largest, are left out.

    The card's ``placement`` is obeyed: ``local`` keeps the model here whatever it weighs (llama.cpp
    then reads from the file what memory does not hold), ``split`` divides even what would fit, and gives somebody
    a layer where in proportion nobody would have one.
    """

    def __init__(self, *, most_workers: int = MOST_WORKERS) -> None:
        self._most_workers = max(1, min(most_workers, MOST_WORKERS))

    def __repr__(self) -> str:
        return f"<ByMemory over up to {self._most_workers} workers>"

    def plan(self, model: ModelCard, here: int, workers: Sequence[Worker]) -> SplitPlan:
        """Return the shares; :meth:`swarmgate.api.Splitter.plan` has the rules.

        Raises:
            Unavailable: the weights fit nowhere, or are to be split and nobody can take part of them.

        """
        footprint = footprint_of(model)
        needs = _needs(model, footprint)
        fits = _whole(model, footprint) <= here
        if model.placement == "local":
            return _plan(model, (), f"kept here as placement says: {needs}; here are {readable(here)}")
        if model.placement != "split" and fits:  # unset is auto
            return _plan(model, (), f"fits here: {needs}; here are {readable(here)}")
        taking, left_out = self._choose(footprint, workers)
        places = [_Place(None, here, max(here - footprint.input - footprint.compute, 0)), *taking]
        possible = footprint.layers and here >= footprint.input + footprint.compute
        ends = _divide(footprint, places) if possible else None
        if ends is not None and model.placement == "split" and not any(_counts(ends)[1:]):
            # in proportion nobody else would get a whole layer, and a split is wanted in any case
            whole = sum(_units(footprint)) + footprint.output_compute
            ends = _divide(footprint, [places[0]._replace(room=min(places[0].room, whole - 1)), *taking])
        if ends is None or (model.placement == "split" and not any(_counts(ends)[1:])):
            raise Unavailable(_refusal(model, footprint, here, workers, left_out))
        counts = _counts(ends)
        for place, count in zip(places, counts, strict=True):
            if place.worker is not None and not count:
                left_out.append(f"{place.worker.offer.name} (its part would be less than a layer)")
        shares = tuple(
            Share(worker=place.worker, fraction=count / (len(footprint.layers) + 1))
            for place, count in zip(places, counts, strict=True)
            if count
        )
        without = f"; left out: {', '.join(left_out)}" if left_out else ""
        return _plan(model, shares, f"split over {len(shares)} places: {needs}; here are {readable(here)}{without}")

    def _choose(self, footprint: Footprint, workers: Sequence[Worker]) -> tuple[list[_Place], list[str]]:
        """Return the places of the workers that may take part, in order, and who may not, with the reason."""
        smallest = min(_units(footprint)) + footprint.compute
        places: list[_Place] = []
        left_out: list[str] = []
        for worker in sorted(workers, key=lambda worker: (_rank(_memory(worker) or 0), worker.offer.key)):
            memory = _memory(worker)
            if memory is None:
                left_out.append(f"{worker.offer.name} (does not say how much memory it has)")
            elif memory < smallest:
                left_out.append(f"{worker.offer.name} (has {readable(memory)}, a layer takes {readable(smallest)})")
            else:
                places.append(_Place(worker, memory, memory - footprint.compute))
        beyond = places[: -self._most_workers]
        left_out += [
            f"{place.worker.offer.name} (only {self._most_workers} can take part)" for place in beyond if place.worker
        ]
        return places[len(beyond) :], left_out


def _plan(model: ModelCard, shares: tuple[Share, ...], reason: str) -> SplitPlan:
    """Return the plan of *shares* with what comes of them."""
    plan = SplitPlan(shares=shares, reason=reason)
    return replace(plan, portions=layers_of(plan, model))


def _divide(footprint: Footprint, places: Sequence[_Place]) -> list[int] | None:
    """Return before which unit each place ends, the nearest to proportion that fits; None if nothing does."""
    units = _units(footprint)
    sums = [0, *accumulate(units)]
    loads = [*sums[:-1], sums[-1] + footprint.output_compute]
    memory = sum(place.memory for place in places) or 1
    wanted = [(footprint.input + sums[-1]) * place.memory / memory for place in places]
    wanted[0] -= footprint.input
    best: list[float | None] = [0.0] + [None] * len(units)
    steps: list[list[int]] = []
    for place, target in zip(places, wanted, strict=True):
        nearest: list[float | None] = [None] * len(best)
        begins = [0] * len(best)
        for begin, so_far in enumerate(best):
            if so_far is None:
                continue
            for end in range(begin, len(best)):
                if loads[end] - loads[begin] > place.room:
                    break
                distance = so_far + (sums[end] - sums[begin] - target) ** 2
                known = nearest[end]
                if known is None or distance < known:
                    nearest[end], begins[end] = distance, begin
        best = nearest
        steps.append(begins)
    if best[-1] is None:
        return None
    ends = [len(units)]
    for begins in reversed(steps[1:]):
        ends.append(begins[ends[-1]])
    return ends[::-1]


def _units(footprint: Footprint) -> list[int]:
    """Return what each layer takes with its cache, and after the last the output."""
    cache = (*footprint.cache, *(0,) * len(footprint.layers))
    return [*(weights + kept for weights, kept in zip(footprint.layers, cache, strict=False)), footprint.output]


def _counts(ends: Sequence[int]) -> list[int]:
    return [end - begin for begin, end in zip([0, *ends], ends, strict=False)]


def _whole(model: ModelCard, footprint: Footprint) -> int:
    return model.weight_bytes + sum(footprint.cache) + footprint.compute + footprint.output_compute


def _needs(model: ModelCard, footprint: Footprint) -> str:
    compute = footprint.compute + footprint.output_compute
    return (
        f"{model.name} needs {readable(_whole(model, footprint))} (weights {readable(model.weight_bytes)}, "
        f"KV cache {readable(sum(footprint.cache))}, computing {readable(compute)})"
    )


def _refusal(
    model: ModelCard, footprint: Footprint, here: int, workers: Sequence[Worker], left_out: Sequence[str]
) -> str:
    """Return why there is no plan, with every number that matters, and what can be done."""
    memories = sorted((worker.offer.name, _memory(worker) or 0) for worker in workers)
    lent = ", ".join(f"{name} {readable(memory)}" for name, memory in memories)
    total = readable(here + sum(memory for _, memory in memories))
    there = f" and workers lend {lent}: {total} in all" if lent else " and nobody lends any"
    without = f" (left out: {', '.join(left_out)})" if left_out else ""
    if not footprint.layers:
        remedy = "nothing says how many layers it has, so it cannot be split"
    elif model.placement == "split" and _whole(model, footprint) <= here:
        remedy = 'it would fit here, but placement is "split": lend more memory, or let it be "auto"'
    else:
        remedy = (
            'lend more memory, take a smaller quantization or a smaller kv_size, or set placement = "local": llama.cpp'
            " then reads from the file what memory does not hold, and is slow"
        )
    return f"{_needs(model, footprint)}; here are {readable(here)}{there}{without}; {remedy}"


def _rank(memory: int) -> int:
    """Return a number for *memory* that is the same for about the same, within a tenth.

    What is free changes all the time, and of two like workers now the one has more and now the other.  If they changed
    places for that, what each keeps of the last load would be of no use for the next.
    """
    return round(_RANKS * log2(memory)) if memory > 0 else 0


def _memory(worker: Worker) -> int | None:
    """Return what *worker*'s label says in bytes, None if it says nothing that can be read."""
    label = worker.offer.labels.get("memory_bytes", "")
    return int(label) if len(label) <= _LONGEST_LABEL and label.isascii() and label.isdecimal() else None
