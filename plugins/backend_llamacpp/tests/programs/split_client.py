"""A llama.cpp client: writes greedily with a model of which all or a part lies on RPC servers.

    split_client.py MODEL TOKENS [ENDPOINT ...]

It prints the tokens, one to a line, as they come; then it waits for the end of its input, connected.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import Any

import llama_cpp

PROMPT = b"Once upon a time there was a lender of machines, who"


def devices(endpoints: list[str]) -> Any:
    """Return the devices of *endpoints* as llama.cpp wants them; none: no devices at all."""
    folder = Path(llama_cpp.__file__).parent / "lib"
    rpc, base = ctypes.CDLL(str(folder / "libggml-rpc.so")), ctypes.CDLL(str(folder / "libggml-base.so"))
    add, get = rpc.ggml_backend_rpc_add_server, base.ggml_backend_reg_dev_get
    add.restype = get.restype = ctypes.c_void_p
    add.argtypes, get.argtypes = [ctypes.c_char_p], [ctypes.c_void_p, ctypes.c_size_t]
    found = [get(add(endpoint.encode()), 0) for endpoint in endpoints]
    return (ctypes.c_void_p * (len(found) + 1))(*found, None)


def main(path: str, count: int, endpoints: list[str]) -> None:
    """Write *count* tokens."""
    llama_cpp.llama_backend_init()
    params = llama_cpp.llama_model_default_params()
    kept = devices(endpoints)
    params.devices = ctypes.addressof(kept)
    params.n_gpu_layers = 99 if endpoints else 0
    model = llama_cpp.llama_model_load_from_file(path.encode(), params)
    settings = llama_cpp.llama_context_default_params()
    settings.n_ctx, settings.n_threads, settings.n_threads_batch = 512, 1, 1
    context = llama_cpp.llama_init_from_model(model, settings)
    vocabulary = llama_cpp.llama_model_get_vocab(model)
    tokens = (llama_cpp.llama_token * 256)()
    length = llama_cpp.llama_tokenize(vocabulary, PROMPT, len(PROMPT), tokens, 256, True, False)
    chain = llama_cpp.llama_sampler_init_greedy()
    for _ in range(count):
        assert llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(tokens, length)) == 0
        tokens[0], length = llama_cpp.llama_sampler_sample(chain, context, -1), 1
        print(tokens[0], flush=True)  # noqa: T201
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
