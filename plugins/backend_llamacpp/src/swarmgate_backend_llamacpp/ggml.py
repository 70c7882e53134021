"""The functions of ggml that llama-cpp-python does not bind, from its own libraries.

For processes of ours that compute: the engine's and the RPC server's.  Finding the libraries loads nothing.
"""

from __future__ import annotations

import ctypes
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from swarmgate.api import EngineError

from swarmgate_backend_llamacpp.rpc.hello import Memory

#: Kinds of devices (ggml_backend_dev_type); of these an INTEGRATED one has no memory of its own.
CPU, GPU, INTEGRATED, ACCELERATOR = 0, 1, 2, 3
SIZE_POINTER = ctypes.POINTER(ctypes.c_size_t)


class Ggml:
    """Devices, and llama.cpp's RPC on both sides."""

    def __init__(self, folder: Path) -> None:
        """Bind what is needed.

        Raises:
            EngineError: *folder* lacks a library; the message names it.

        """
        devices, backend, rpc = (_library(folder, name) for name in ("ggml", "ggml-base", "ggml-rpc"))
        pointer, text, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t
        self._count = _function(devices, "ggml_backend_dev_count", size)
        self._get = _function(devices, "ggml_backend_dev_get", pointer, size)
        self._name = _function(backend, "ggml_backend_dev_name", text, pointer)
        self._description = _function(backend, "ggml_backend_dev_description", text, pointer)
        self._memory = _function(backend, "ggml_backend_dev_memory", None, pointer, SIZE_POINTER, SIZE_POINTER)
        self.kind = _function(backend, "ggml_backend_dev_type", ctypes.c_int, pointer)
        self._add_server = _function(rpc, "ggml_backend_rpc_add_server", pointer, text)
        self._server_count = _function(backend, "ggml_backend_reg_dev_count", size, pointer)
        self._server_get = _function(backend, "ggml_backend_reg_dev_get", pointer, pointer, size)
        self.start_server = _function(
            rpc, "ggml_backend_rpc_start_server", None, text, text, size, size, ctypes.POINTER(pointer)
        )

    def devices(self) -> dict[str, int]:
        """Return this machine's devices by name."""
        handles = [self._get(index) for index in range(self._count())]
        return {self.name(handle): handle for handle in handles}

    def connect(self, address: str) -> list[int]:
        """Return the devices of the RPC server at *address* (``host:port``, IPv4).

        llama.cpp ends the process if nobody answers there or what answers is of another version, and hangs if
        that server is busy with another client: ask before.

        Raises:
            EngineError: the server has no devices.

        """
        server = self._add_server(address.encode())
        handles = [self._server_get(server, index) for index in range(self._server_count(server))] if server else []
        if not handles:
            raise EngineError(f"the RPC server at {address} lends no device")
        return handles

    def name(self, handle: int) -> str:
        """Return what llama.cpp calls a device."""
        return str(self._name(handle).decode(errors="replace"))

    def description(self, handle: int) -> str:
        """Return what a device's maker calls it."""
        return str(self._description(handle).decode(errors="replace"))

    def memory(self, handle: int) -> Memory:
        """Return a device's memory in bytes."""
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self._memory(handle, ctypes.byref(free), ctypes.byref(total))
        return Memory(free.value, total.value)


def library_folder() -> Path | None:
    """Return where llama-cpp-python's libraries lie, without loading any; None if it is not installed."""
    if given := os.environ.get("LLAMA_CPP_LIB_PATH"):
        return Path(given)
    spec = find_spec("llama_cpp")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        return Path(folder) / "lib"
    return None


def open_ggml() -> Ggml:
    """Return the functions; llama.cpp's own ``llama_backend_init`` comes first.

    Raises:
        EngineError: llama-cpp-python is not installed, or lacks a library.

    """
    folder = library_folder()
    if folder is None:
        raise EngineError("llama-cpp-python is not installed; run `make setup-engine`")
    return Ggml(folder)


def _library(folder: Path, name: str) -> ctypes.CDLL:
    for file in (f"lib{name}.so", f"lib{name}.dylib", f"{name}.dll"):
        if (folder / file).exists():
            return ctypes.CDLL(str(folder / file))
    raise EngineError(f"llama-cpp-python has no library {name} in {folder}; run `make setup-engine`")


def _function(library: ctypes.CDLL, name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(library, name)
    function.restype, function.argtypes = result, arguments
    return function
