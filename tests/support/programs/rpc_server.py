"""llama.cpp's own RPC server as it ships, without a lender before it: ``rpc_server.py PORT``.

It lends the CPU by one thread on loopback, and serves until it is killed.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import llama_cpp


def main(port: str) -> None:
    """Serve."""
    llama_cpp.llama_backend_init()
    folder = Path(llama_cpp.__file__).parent / "lib"
    rpc, ggml = ctypes.CDLL(str(folder / "libggml-rpc.so")), ctypes.CDLL(str(folder / "libggml.so"))
    ggml.ggml_backend_dev_get.restype = ctypes.c_void_p
    ggml.ggml_backend_dev_get.argtypes = [ctypes.c_size_t]
    ggml.ggml_backend_dev_by_type.restype = ctypes.c_void_p
    cpu = ggml.ggml_backend_dev_by_type(0)
    start = rpc.ggml_backend_rpc_start_server
    start.argtypes = [
        ctypes.c_char_p,
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_size_t,
        ctypes.POINTER(ctypes.c_void_p),
    ]
    start(f"127.0.0.1:{port}".encode(), None, 1, 1, (ctypes.c_void_p * 1)(cpu))


if __name__ == "__main__":
    main(sys.argv[1])
