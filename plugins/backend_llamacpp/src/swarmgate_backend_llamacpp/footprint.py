"""What a GGUF model takes up when llama.cpp loads it: weights, KV cache and room to compute.  Pure.

Which tensors go where is llama.cpp's rule for splitting by layers (``llm_tensor_info_for`` in
``llama-arch.cpp``, ``load_tensors`` in ``llama-model.cpp``): those that are only looked up stay in
this machine's memory, ``blk.N.*`` go with layer N, all others go with the output, which is placed as
if it were one more layer after the last.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from swarmgate.api import Footprint

from swarmgate_backend_llamacpp.gguf_file import TENSOR_TYPES, GgufFile, TensorInfo
from swarmgate_backend_llamacpp.layout import MOST_LAYERS
from swarmgate_backend_llamacpp.options import LlamaOptions

_LAYER = re.compile(r"blk\.(\d{1,9})\.")
#: What MessagePack can carry; a file that says it needs more is lying.
_MOST_BYTES = 1 << 62
#: Tensors of llama.cpp's input layer (LLM_TENSOR_LAYER_INPUT), less their ``.weight``.
_INPUT = frozenset({"token_embd", "position_embd", "token_types", "per_layer_token_embd"})
#: llama.cpp rounds a context up to so many cells, and a mask to so many rows.
_CELLS, _ROWS = 256, 64
_FLOAT, _HALF = 4, 2
#: Rows of a step where every row's sums must not depend on company: EXACT_ROWS of the engine.
_EXACT_ROWS = 63
#: How many vectors as wide as a layer's inside, and as the model, llama.cpp keeps at once (measured, see below).
_INNER_VECTORS, _VECTORS, _OUTPUT_VECTORS = 3, 5, 2


def measure(file: GgufFile, options: LlamaOptions, *, cells: int, embeds: bool) -> Footprint | None:
    """Return what the model in *file* takes up with a cache of *cells* tokens, writing or embedding.

    None if the file names no number of layers that llama.cpp could load.

    Weights and KV cache are what llama.cpp allocates; where several layers share one cache, or
    a layer's state is recurrent, the cache is an upper bound.  What it needs to compute is an
    estimate (:func:`compute_bytes`).
    """
    count = file.number("{arch}.block_count")
    if not 0 < count <= MOST_LAYERS:
        return None
    layers, cache = [0] * count, [0] * count
    inputs = outputs = 0
    for tensor in file.tensors:
        layer = _layer_of(tensor, count)
        if layer is not None:
            layers[layer] += tensor.size
        elif tensor.name.removesuffix(".weight") in _INPUT:
            inputs += tensor.size
        else:
            outputs += tensor.size
    tensors = {tensor.name: tensor for tensor in file.tensors}
    if "output.weight" not in tensors and not embeds and "token_embd.weight" in tensors:
        outputs += tensors["token_embd.weight"].size  # one matrix for both ends: the other end gets a copy
    if _caches(file):
        keys, values = _row_bytes(options.type_k), _row_bytes(options.type_v)
        for layer in range(count):
            k, v = _widths(file, tensors, layer)
            cache[layer] = _padded(cells, _CELLS) * (keys(k) + values(v))
    compute, output_compute = compute_bytes(file, options, cells=cells, embeds=embeds)
    return Footprint(
        input=_sane(inputs),
        layers=tuple(map(_sane, layers)),
        output=_sane(outputs),
        cache=tuple(map(_sane, cache)),
        compute=_sane(compute),
        output_compute=_sane(output_compute),
    )


def compute_bytes(file: GgufFile, options: LlamaOptions, *, cells: int, embeds: bool) -> tuple[int, int]:
    """Estimate llama.cpp's compute buffers: of any place, and what the last one has on top.

    Measured with SmolLM2-135M and tiny llamas (63 and 512 rows, 512 and 8192 cells, flash attention
    on and off, whole and split): the largest step of a layer holds three vectors as wide as the
    feed-forward and five as wide as the model for each row, the mask, and without flash attention
    the scores of all heads; that of the output the logits and two vectors, and not the former at the
    same time.  The estimate was 0 to 80 % above the buffers of places with layers, never below.
    """
    rows = _padded(cells if embeds else _EXACT_ROWS if options.exact else options.batch_size, _ROWS)
    cells = _padded(cells, _CELLS)
    width = file.number("{arch}.embedding_length")
    inner, attention = width, width
    used = max(file.number("{arch}.expert_used_count"), 1)
    for tensor in file.tensors:
        if ".ffn_up." in tensor.name or ".ffn_up_exps." in tensor.name:
            inner = max(inner, _outputs(tensor) * (used if "_exps" in tensor.name else 1))
        elif ".attn_q." in tensor.name or ".attn_qkv." in tensor.name:
            attention = max(attention, _outputs(tensor))
    flash = options.flash_attention != "off"
    mask = cells * rows * (_HALF if flash else _FLOAT)
    scores = 0 if flash else cells * rows * file.number("{arch}.attention.head_count") * _FLOAT
    compute = rows * (_INNER_VECTORS * inner + _VECTORS * max(attention, width * used)) * _FLOAT + mask + scores
    output = rows * ((0 if embeds else file.number("tokenizer.ggml.tokens.length")) + _OUTPUT_VECTORS * width) * _FLOAT
    return compute, max(output - compute, 0)


def _sane(size: int) -> int:
    return min(max(size, 0), _MOST_BYTES)


def _padded(count: int, step: int) -> int:
    return -(-count // step) * step


def _layer_of(tensor: TensorInfo, count: int) -> int | None:
    if tensor.name.startswith("rope_f"):
        return 0  # rope_freqs and rope_factors: a few hundred bytes, copied to every place
    named = _LAYER.match(tensor.name)
    return min(int(named[1]), count - 1) if named else None


def _outputs(tensor: TensorInfo) -> int:
    """Return how many numbers a matrix puts out."""
    return tensor.shape[1] if len(tensor.shape) > 1 else 0


def _caches(file: GgufFile) -> bool:
    """Return whether llama.cpp keeps keys and values: encoders read everything at once."""
    return file.metadata.get(f"{file.architecture}.attention.causal", True) is not False


def _row_bytes(name: str) -> Callable[[int], int]:
    per_block, block_bytes = next((per, size) for per, size, known in TENSOR_TYPES.values() if known.lower() == name)
    return lambda width: width // per_block * block_bytes


def _widths(file: GgufFile, tensors: Mapping[str, TensorInfo], layer: int) -> tuple[int, int]:
    """Return how many numbers of keys and of values *layer* keeps for a token.

    What the weights put out is exact, also where heads differ between layers: their counts are then an
    array, which is not read.  Where keys and values come out of one matrix, the metadata says.
    """
    heads = file.number("{arch}.attention.head_count")
    kv_heads = file.number("{arch}.attention.head_count_kv") or heads
    width = file.number("{arch}.embedding_length")
    usual = width // heads if heads else width
    k = (kv_heads or 1) * (file.number("{arch}.attention.key_length") or usual)
    v = (kv_heads or 1) * (file.number("{arch}.attention.value_length") or usual)
    if file.number("{arch}.attention.key_length_mla"):
        return k, 0  # latent attention: values are computed from the keys
    key, value = tensors.get(f"blk.{layer}.attn_k.weight"), tensors.get(f"blk.{layer}.attn_v.weight")
    if key is not None:
        return _outputs(key), _outputs(value or key)
    fused = any(f"blk.{layer}.{name}.weight" in tensors for name in ("attn_qkv", "attn_kv_a_mqa", "attn_kv_b"))
    return (k, v) if fused else (0, 0)
