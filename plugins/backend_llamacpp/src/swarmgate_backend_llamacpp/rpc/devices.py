"""The devices that are lent, and llama.cpp's RPC server over them.

What a device says of its memory is put right here, for everybody who asks it: the limit that the
operator set, and for the CPU what is really free (ggml takes all of a machine's memory for free).
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any

import llama_cpp
from swarmgate.api import EngineError, free_memory_now, whole_memory_now

from swarmgate_backend_llamacpp.ggml import ACCELERATOR, CPU, SIZE_POINTER, Ggml, open_ggml
from swarmgate_backend_llamacpp.rpc.hello import Memory
from swarmgate_backend_llamacpp.rpc.lease import Device
from swarmgate_backend_llamacpp.rpc.limits import offered, share
from swarmgate_backend_llamacpp.rpc.messages import Serve

#: ``get_memory`` is the third function of a device (ggml-backend-impl.h).
_GET_MEMORY = 2
_GetMemory = ctypes.CFUNCTYPE(None, ctypes.c_void_p, SIZE_POINTER, SIZE_POINTER)


class Lent:
    """The devices that are lent, and the server that lends them."""

    def __init__(self, serve: Serve) -> None:
        """Find the devices, and put their memory right.

        Raises:
            EngineError: a device does not exist, none can be lent, or llama-cpp-python lacks RPC.

        """
        if not llama_cpp.llama_supports_rpc():
            raise EngineError(
                "llama-cpp-python was built without RPC; run `make setup-engine`, or build it with -DGGML_RPC=ON"
            )
        llama_cpp.llama_backend_init()
        self._ggml = open_ggml()
        self._serve = serve
        handles = _choose(self._ggml, serve.devices)
        shares = share(serve.memory_limit, [_total(self._ggml, handle) for handle in handles])
        pairs = [(handle, part) for handle, part in zip(handles, shares, strict=True) if part > 0]
        self._devices = [_Limited(self._ggml, handle, part) for handle, part in pairs]
        if not self._devices:
            raise EngineError("none of the devices has memory to lend")

    def report(self) -> tuple[Device, ...]:
        """Return the devices and their memory now."""
        return tuple(device.report() for device in self._devices)

    def serve(self, endpoint: str) -> None:
        """Serve RPC on *endpoint*; it returns only when it cannot."""
        handles = (ctypes.c_void_p * len(self._devices))(*(device.handle for device in self._devices))
        cache = self._serve.cache_dir.encode() if self._serve.cache_dir else None
        self._ggml.start_server(endpoint.encode(), cache, self._serve.threads, len(handles), handles)


class _Limited:
    """A device that says of its memory what is lent of it."""

    def __init__(self, ggml: Ggml, handle: int, part: int) -> None:
        self._ggml, self.handle, self._share = ggml, handle, part
        self._on_cpu = _on_cpu(ggml, handle)
        slots = ctypes.cast(handle, ctypes.POINTER(ctypes.c_void_p))
        self._own_memory = _GetMemory(slots[_GET_MEMORY] or 0)
        self._used_before = 0
        self._used_before = self._used()
        self._replacement = _GetMemory(self._say)  # kept alive: C holds its address
        slots[_GET_MEMORY] = ctypes.cast(self._replacement, ctypes.c_void_p).value
        if ggml.memory(handle).total != part:
            raise EngineError("this llama.cpp keeps its devices in another way than expected; pin llama-cpp-python")

    def report(self) -> Device:
        memory = self._ggml.memory(self.handle)
        name, description = self._ggml.name(self.handle), self._ggml.description(self.handle)
        return Device(name=name, description=description, memory_free=memory.free, memory_total=memory.total)

    def _say(self, _: Any, free: Any, total: Any) -> None:
        offer = offered(self._share, self._real(), self._used())
        free[0], total[0] = offer.free, offer.total

    def _real(self) -> Memory:
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self._own_memory(self.handle, ctypes.byref(free), ctypes.byref(total))
        if self._on_cpu:
            return Memory(min(free.value, free_memory_now() or free.value), total.value)
        return Memory(free.value, total.value)

    def _used(self) -> int:
        """Return how many bytes are lent now."""
        if not self._on_cpu:
            memory = self._real()
            return max(memory.total - memory.free - self._used_before, 0)
        pages = _read("/proc/self/statm").split()
        resident = int(pages[1]) * os.sysconf("SC_PAGE_SIZE") if pages else 0
        return max(resident - self._used_before, 0)


def _on_cpu(ggml: Ggml, handle: int) -> bool:
    return ggml.kind(handle) in (CPU, ACCELERATOR)


def _total(ggml: Ggml, handle: int) -> int:
    """Return what the device has; of the machine's memory, what we may use of it."""
    total = ggml.memory(handle).total
    return min(total, whole_memory_now() or total) if _on_cpu(ggml, handle) else total


def _choose(ggml: Ggml, names: tuple[str, ...]) -> list[int]:
    """Return the devices called *names*; none: all but the CPU, or else the CPU, as llama.cpp's own server does."""
    known = ggml.devices()
    for name in names:
        if name not in known:
            raise EngineError(f"there is no device {name!r}; this machine has {', '.join(known) or 'none'}")
    if names:
        return [known[name] for name in dict.fromkeys(names)]
    others = [handle for handle in known.values() if ggml.kind(handle) not in (CPU, ACCELERATOR)]
    return others or [handle for handle in known.values() if ggml.kind(handle) == CPU][:1]


def _read(file: str) -> str:
    try:
        return Path(file).read_text(encoding="ascii")
    except OSError:
        return ""
