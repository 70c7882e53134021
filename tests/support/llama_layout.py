"""Loads a model as a split would, over RPC servers of its own, and tells what llama.cpp put where.

Run as a program it does one of these: ``serve PORT`` lends this machine as a worker until killed;
``load JSON`` loads what a :class:`Loading` says and prints what llama.cpp's log said of it.
"""

from __future__ import annotations

import ctypes
import re
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec

_LAYER = re.compile(r"layer +(\d+) assigned to device (\w+)")
_BUFFER = re.compile(r" +(\w+)(?:\[[^]]*:(\d+)\])? (model|KV|compute) buffer size = +([\d.]+) MiB")
_PATIENCE = 20.0


class Loading(msgspec.Struct, frozen=True):
    """What to load, and how; *ports* are those of workers on this machine."""

    path: str
    ports: tuple[int, ...] = ()
    n_gpu_layers: int = 0
    tensor_split: tuple[float, ...] = ()
    cells: int = 512
    rows: int = 63
    type_k: int = 1
    type_v: int = 1
    flash: int = -1
    mmap: bool = False


class Layout(msgspec.Struct, frozen=True):
    """Where each layer went (the last is the output), and the buffers of each device in MiB by what they hold."""

    layers: tuple[str, ...]
    buffers: dict[str, dict[str, float]]


def load(loading: Loading) -> Layout:
    """Load in a process of its own, and return what it said."""
    command = [sys.executable, __file__, "load", msgspec.json.encode(loading).decode()]
    done = subprocess.run(command, capture_output=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return msgspec.json.decode(done.stdout, type=Layout)


@contextmanager
def workers(count: int) -> Generator[tuple[int, ...]]:
    """Hold *count* RPC servers open on this machine, and yield their ports."""
    ports = tuple(_free_port() for _ in range(count))
    running = [_lend(port) for port in ports]
    try:
        for port, process in zip(ports, running, strict=True):
            _await_listening(port, process)
        yield ports
    finally:
        for process in running:
            process.kill()
            process.wait()


def _lend(port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, __file__, "serve", str(port)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return server.getsockname()[1]


def _await_listening(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with closing(socket.socket()) as caller:
            if caller.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"no RPC server listens on port {port}")


def _library(name: str) -> Any:
    import llama_cpp

    library = ctypes.CDLL(str(Path(llama_cpp.__file__).parent / "lib" / f"lib{name}.so"))
    for function, arguments, result in (
        ("ggml_backend_dev_by_type", [ctypes.c_int], ctypes.c_void_p),
        ("ggml_backend_reg_dev_get", [ctypes.c_void_p, ctypes.c_size_t], ctypes.c_void_p),
        ("ggml_backend_rpc_add_server", [ctypes.c_char_p], ctypes.c_void_p),
    ):
        if hasattr(library, function):
            getattr(library, function).argtypes, getattr(library, function).restype = arguments, result
    return library


def _serve(port: int) -> None:
    import llama_cpp

    llama_cpp.llama_backend_init()
    devices = (ctypes.c_void_p * 1)(_library("ggml").ggml_backend_dev_by_type(0))
    start = _library("ggml-rpc").ggml_backend_rpc_start_server
    start.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_void_p]
    start(f"127.0.0.1:{port}".encode(), None, 1, 1, devices)


def _load(loading: Loading) -> Layout:
    import llama_cpp

    said: list[str] = []
    hear = llama_cpp.llama_log_callback(lambda _level, text, _: said.append(text.decode(errors="replace")))
    llama_cpp.llama_log_set(hear, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    rpc, base = _library("ggml-rpc"), _library("ggml-base")
    devices: list[int] = []
    for port in loading.ports:
        registry = rpc.ggml_backend_rpc_add_server(f"127.0.0.1:{port}".encode())
        devices.append(base.ggml_backend_reg_dev_get(registry, 0))
    params = llama_cpp.llama_model_default_params()
    params.n_gpu_layers, params.load_mode = loading.n_gpu_layers, int(loading.mmap)
    params.use_extra_bufts = False  # else some types are kept in a second buffer
    listed = (ctypes.c_void_p * (len(devices) + 1))(*devices, None)
    if devices:
        params.devices = ctypes.addressof(listed)
    split = (ctypes.c_float * llama_cpp.llama_max_devices())(*loading.tensor_split)
    params.tensor_split = split
    model = llama_cpp.llama_model_load_from_file(loading.path.encode(), params)
    assert model, "".join(said)
    context = llama_cpp.llama_context_default_params()
    context.n_ctx, context.n_seq_max = loading.cells, 8
    context.n_batch, context.n_ubatch = max(loading.rows, 512), loading.rows
    context.type_k, context.type_v, context.flash_attn_type = loading.type_k, loading.type_v, loading.flash
    context.kv_unified = context.swa_full = True
    assert llama_cpp.llama_init_from_model(model, context), "".join(said)
    text = "".join(said)
    buffers: dict[str, dict[str, float]] = {}
    for device, port, holding, size in _BUFFER.findall(text):
        held = buffers.setdefault(f"RPC{loading.ports.index(int(port))}" if port else device, {})
        held[holding] = held.get(holding, 0.0) + float(size)
    return Layout(tuple(device for _, device in _LAYER.findall(text)), buffers)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        _serve(int(sys.argv[2]))
    else:
        sys.stdout.buffer.write(msgspec.json.encode(_load(msgspec.json.decode(sys.argv[2], type=Loading))))
