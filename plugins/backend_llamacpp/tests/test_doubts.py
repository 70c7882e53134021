"""Why an answer may come out otherwise although it should not."""

from __future__ import annotations

import pytest
from swarmgate.api import ModelCard
from swarmgate_backend_llamacpp.doubts import doubts
from swarmgate_backend_llamacpp.options import LlamaOptions

_QUANTIZED = ModelCard(name="m", abilities=frozenset({"chat", "completion"}), quantization="Q4_K")


def test_a_quantized_model_by_one_thread_is_exact() -> None:
    """Nothing is said of it."""
    assert doubts(_QUANTIZED, LlamaOptions(), threads=1) == ()


@pytest.mark.parametrize("kind", ["F32", "F16", "BF16"])
def test_floats_are_doubted(kind: str) -> None:
    """The reason names the type."""
    card = ModelCard(name="m", abilities=_QUANTIZED.abilities, quantization=kind)
    (reason,) = doubts(card, LlamaOptions(), threads=1)
    assert reason.startswith(f"the weights are {kind}, ")


@pytest.mark.parametrize("values", ["q8_0", "bf16", "q4_0"])
def test_several_threads_are_doubted_unless_the_types_differ(values: str) -> None:
    """It divides a lone query's cells only where keys and values are of one type, and that a float."""
    (reason,) = doubts(_QUANTIZED, LlamaOptions(), threads=7)
    assert reason.startswith("7 threads divide")
    assert doubts(_QUANTIZED, LlamaOptions(type_v=values), threads=7) == ()  # type: ignore[arg-type]
    assert doubts(_QUANTIZED, LlamaOptions(type_k="f32"), threads=7) == (reason,)


def test_the_plain_attention_is_doubted_once() -> None:
    """However many threads compute it."""
    (reason,) = doubts(_QUANTIZED, LlamaOptions(flash_attention="off"), threads=7)
    assert reason.endswith('flash_attention = "on"')


def test_nothing_is_promised_where_it_was_not_asked_for() -> None:
    """With exact off, and of a model that only embeds."""
    assert doubts(_QUANTIZED, LlamaOptions(exact=False), threads=7) == ()
    embeds = ModelCard(name="m", abilities=frozenset({"embedding"}), quantization="F16")
    assert doubts(embeds, LlamaOptions(), threads=7) == ()
