"""llama.cpp's devices and its RPC server, from llama-cpp-python's own libraries.

What a device says of its memory is put right here, for everybody who asks it: the limit that the
operator set, and for the CPU what is really free (ggml takes all of a machine's memory for free).
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any

import llama_cpp
from swarmgate.api import EngineError

from swarmgate_backend_llamacpp.rpc.hello import Memory
from swarmgate_backend_llamacpp.rpc.lease import Device
from swarmgate_backend_llamacpp.rpc.limits import available, offered, share
from swarmgate_backend_llamacpp.rpc.messages import Serve

_CPU, _ACCELERATOR = 0, 3
#: ``get_memory`` is the third function of a device (ggml-backend-impl.h).
_GET_MEMORY = 2
_Size = ctypes.POINTER(ctypes.c_size_t)
_GetMemory = ctypes.CFUNCTYPE(None, ctypes.c_void_p, _Size, _Size)


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
        self._ggml = _Ggml(Path(os.environ.get("LLAMA_CPP_LIB_PATH") or Path(str(llama_cpp.__file__)).parent / "lib"))
        self._serve = serve
        handles = _choose(self._ggml, serve.devices)
        shares = share(serve.memory_limit, [self._ggml.memory(handle).total for handle in handles])
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

    def __init__(self, ggml: _Ggml, handle: int, part: int) -> None:
        self._ggml, self.handle, self._share = ggml, handle, part
        self._on_cpu = ggml.kind(handle) in (_CPU, _ACCELERATOR)
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
            known = available(_read("/proc/meminfo"))
            return Memory(free.value if known is None else min(free.value, known), total.value)
        return Memory(free.value, total.value)

    def _used(self) -> int:
        """Return how many bytes are lent now."""
        if not self._on_cpu:
            memory = self._real()
            return max(memory.total - memory.free - self._used_before, 0)
        pages = _read("/proc/self/statm").split()
        resident = int(pages[1]) * os.sysconf("SC_PAGE_SIZE") if pages else 0
        return max(resident - self._used_before, 0)


class _Ggml:
    """The functions of ggml that llama-cpp-python does not bind."""

    def __init__(self, folder: Path) -> None:
        devices, base, rpc = (_library(folder, name) for name in ("ggml", "ggml-base", "ggml-rpc"))
        pointer, text = ctypes.c_void_p, ctypes.c_char_p
        self._count = _function(devices, "ggml_backend_dev_count", ctypes.c_size_t)
        self._get = _function(devices, "ggml_backend_dev_get", pointer, ctypes.c_size_t)
        self._name = _function(base, "ggml_backend_dev_name", text, pointer)
        self._description = _function(base, "ggml_backend_dev_description", text, pointer)
        self._memory = _function(base, "ggml_backend_dev_memory", None, pointer, _Size, _Size)
        self.kind = _function(base, "ggml_backend_dev_type", ctypes.c_int, pointer)
        self.start_server = _function(
            rpc,
            "ggml_backend_rpc_start_server",
            None,
            text,
            text,
            ctypes.c_size_t,
            ctypes.c_size_t,
            ctypes.POINTER(pointer),
        )

    def devices(self) -> dict[str, int]:
        """Return all devices by name."""
        handles = [self._get(index) for index in range(self._count())]
        return {self.name(handle): handle for handle in handles}

    def name(self, handle: int) -> str:
        return str(self._name(handle).decode(errors="replace"))

    def description(self, handle: int) -> str:
        return str(self._description(handle).decode(errors="replace"))

    def memory(self, handle: int) -> Memory:
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self._memory(handle, ctypes.byref(free), ctypes.byref(total))
        return Memory(free.value, total.value)


def _choose(ggml: _Ggml, names: tuple[str, ...]) -> list[int]:
    """Return the devices called *names*; none: all but the CPU, or else the CPU, as llama.cpp's own server does."""
    known = ggml.devices()
    for name in names:
        if name not in known:
            raise EngineError(f"there is no device {name!r}; this machine has {', '.join(known) or 'none'}")
    if names:
        return [known[name] for name in dict.fromkeys(names)]
    others = [handle for handle in known.values() if ggml.kind(handle) not in (_CPU, _ACCELERATOR)]
    return others or [handle for handle in known.values() if ggml.kind(handle) == _CPU][:1]


def _library(folder: Path, name: str) -> ctypes.CDLL:
    for file in (f"lib{name}.so", f"lib{name}.dylib", f"{name}.dll"):
        if (folder / file).exists():
            return ctypes.CDLL(str(folder / file))
    raise EngineError(f"llama-cpp-python has no library {name} in {folder}; run `make setup-engine`")


def _function(library: ctypes.CDLL, name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(library, name)
    function.restype, function.argtypes = result, arguments
    return function


def _read(file: str) -> str:
    try:
        return Path(file).read_text(encoding="ascii")
    except OSError:
        return ""
