"""The devices a split model is loaded on: this machine's GPUs, then those of its workers."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import llama_cpp
from swarmgate.api import EngineError, Footprint, ModelCard

from swarmgate_backend_llamacpp.engine.gpus import gpus
from swarmgate_backend_llamacpp.engine.spread import fill, spread
from swarmgate_backend_llamacpp.ggml import INTEGRATED, Ggml, open_ggml
from swarmgate_backend_llamacpp.layout import footprint_of
from swarmgate_backend_llamacpp.messages import RemotePart
from swarmgate_backend_llamacpp.options import LlamaOptions

_SPLIT_BY_LAYER = 1


class Devices:
    """What llama.cpp is told about where units go; the arrays live as long as this."""

    def __init__(self, parts: Sequence[RemotePart], card: ModelCard, options: LlamaOptions) -> None:
        """Connect to the workers' RPC servers, and see what fits on GPUs here.

        Raises:
            EngineError: a server lends no device, or all together have more than llama.cpp can use.

        """
        llama_cpp.llama_backend_init()
        ggml = open_ggml()
        local = _gpus(ggml, options)  # before the workers' devices are among them
        footprint = footprint_of(card)
        here = len(footprint.layers) + 1 - sum(part.units for part in parts)
        on_gpus = fill(
            _sizes(footprint)[:here], footprint.compute, [_free(ggml, gpu) for gpu in local], options.gpu_layers
        )
        placed = list(zip(local, on_gpus, strict=True))
        for part in parts:
            handles = ggml.connect(part.address)
            memories = [_free(ggml, handle) for handle in handles] if len(handles) > 1 else [1]
            placed += zip(handles, spread(part.units, memories), strict=True)
        self._placed = [(handle, count) for handle, count in placed if count]
        most = llama_cpp.llama_max_devices()
        if len(self._placed) > most:
            raise EngineError(
                f"the model would lie on {len(self._placed)} devices, and llama.cpp uses no more than {most}: lower"
                " most_workers of the splitter, or lend fewer devices of each worker (its option device)"
            )
        self._listed = (ctypes.c_void_p * (len(self._placed) + 1))(*(handle for handle, _ in self._placed), None)
        self._split = (ctypes.c_float * most)(*(float(count) for _, count in self._placed))

    def __repr__(self) -> str:
        return f"<Devices {len(self._placed)} with {[count for _, count in self._placed]} units>"

    def tell(self, params: Any) -> None:
        """Write it into llama.cpp's *params* of a model."""
        params.devices = ctypes.addressof(self._listed)
        params.tensor_split = self._split
        params.n_gpu_layers = sum(count for _, count in self._placed)
        params.split_mode = _SPLIT_BY_LAYER  # the only one that crosses machines


def _gpus(ggml: Ggml, options: LlamaOptions) -> list[int]:
    """Return this machine's GPUs that may be used, in llama.cpp's order."""
    found = gpus(ggml) or [handle for handle in ggml.devices().values() if ggml.kind(handle) == INTEGRATED][:1]
    return found[options.main_gpu : options.main_gpu + 1] if options.split_mode == "none" else found


def _free(ggml: Ggml, handle: int) -> int:
    return ggml.memory(handle).free


def _sizes(footprint: Footprint) -> list[int]:
    """Return what each layer takes with its cache, and the output."""
    cache = (*footprint.cache, *[0] * len(footprint.layers))
    return [*(weights + kept for weights, kept in zip(footprint.layers, cache, strict=False)), footprint.output]
