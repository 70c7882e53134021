"""From a plan's shares to the layers that llama.cpp puts where.  Pure.

llama.cpp divides *units*: a model's layers, and the output as one more after the last.  The first
ones, all but ``n_gpu_layers``, stay on the CPU; the others go to the devices by ``tensor_split``.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from swarmgate.api import Footprint, ModelCard, Portion, SplitPlan, Worker

#: llama.cpp's LLAMA_MAX_LAYERS.
MOST_LAYERS = 512
#: How far a share may be from a whole layer and still mean it.
_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class SplitArguments:
    """What llama.cpp must be told: *workers* as devices in this order, the other two as its options of that name.

    The shares of *tensor_split* are whole numbers of units, which llama.cpp's rounding leaves as they are.
    """

    workers: tuple[Worker, ...]
    n_gpu_layers: int
    tensor_split: tuple[float, ...]


def split_arguments(plan: SplitPlan, card: ModelCard) -> SplitArguments:
    """Return what to tell llama.cpp so that it does what *plan* says.

    Shares that are no whole units are rounded as llama.cpp would: a unit goes to the first place whose
    end lies beyond the unit's beginning.  A worker for whom that leaves nothing is left out.
    """
    units = len(footprint_of(card).layers) + 1
    shares = sorted(plan.shares, key=lambda share: share.worker is not None)  # this machine is always first
    end = done = 0
    total = 0.0
    counts: list[tuple[Worker | None, int]] = []
    for share in shares:
        total += share.fraction
        end = min(max(ceil(total * units - _TOLERANCE * units), done), units)
        counts.append((share.worker, end - done))
        done = end
    given = [(worker, count) for worker, count in counts if worker is not None and count]
    return SplitArguments(
        workers=tuple(worker for worker, _ in given),
        n_gpu_layers=sum(count for _, count in given),
        tensor_split=tuple(float(count) for _, count in given),
    )


def device_of_units(units: int, n_gpu_layers: int, tensor_split: Sequence[float]) -> tuple[int | None, ...]:
    """Return for each unit the device llama.cpp puts it on, None being the CPU.

    This is ``load_tensors`` of ``llama-model.cpp``, in its own single precision.
    """
    ends: list[float] = []
    for share in tensor_split:
        ends.append(_single((ends[-1] if ends else 0.0) + _single(share)))
    ends = [_single(end / ends[-1]) for end in ends]
    start, on_devices = max(units - n_gpu_layers, 0), min(n_gpu_layers, units) if tensor_split else 0
    return tuple(
        bisect_right(ends, _single((unit - start) / on_devices)) if start <= unit < start + on_devices else None
        for unit in range(units)
    )


def layers_of(plan: SplitPlan, card: ModelCard) -> tuple[Portion, ...]:
    """Return what each place really gets when llama.cpp loads the model of *card* by *plan*.

    This machine comes first, even if it holds nothing but the input, then the workers in order.
    """
    footprint = footprint_of(card)
    units = len(footprint.layers) + 1
    arguments = split_arguments(plan, card)
    devices = device_of_units(units, arguments.n_gpu_layers, arguments.tensor_split)
    places: list[Worker | None] = [None, *arguments.workers]
    portions: list[Portion] = []
    end = 0
    for device, worker in enumerate(places, start=-1):
        first, end = end, end + devices.count(None if worker is None else device)
        output = end == units > first
        weights = sum(footprint.layers[first:end])
        if worker is None:
            weights = card.weight_bytes if output else weights + footprint.input
        elif output:
            weights += footprint.output
        compute = footprint.compute + (footprint.output_compute if output else 0)
        cache = sum(footprint.cache[first:end])
        layers = min(end, units - 1)
        portions.append(
            Portion(
                worker=worker,
                first=first,
                end=layers,
                output=output,
                weights=weights,
                cache=cache,
                compute=compute,
                share=(end - first) / units,
            )
        )
    return tuple(portions)


def footprint_of(card: ModelCard) -> Footprint:
    """Return the footprint on *card*, or if there is none one of equal layers, the output being like them.

    It has no layers if nothing sensible says how many there are.
    """
    if card.footprint is not None:
        return card.footprint
    layers = card.layers if 0 < card.layers <= MOST_LAYERS else 0
    each = -(-card.weight_bytes // (layers + 1))
    return Footprint(layers=(each,) * layers, output=each)


def _single(value: float) -> float:
    single: float = struct.unpack("f", struct.pack("f", value))[0]
    return single
