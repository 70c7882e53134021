"""Why an answer may come out otherwise although ``exact`` was asked for.  Pure; decision 14 has the measurements."""

from __future__ import annotations

from swarmgate.api import ModelCard

from swarmgate_backend_llamacpp.options import LlamaOptions

#: ggml multiplies one row by these with one kernel, several with another (llamafile's), which adds in another order.
_FLOATS = frozenset({"F32", "F16", "BF16"})
#: llama.cpp hands F32 to flash attention as F16.
_AS_F16 = frozenset({"f32", "f16"})


def doubts(card: ModelCard, options: LlamaOptions, *, threads: int) -> tuple[str, ...]:
    """Return what keeps an answer on the CPU from being the same in company or resumed, each with its remedy.

    *threads* is how many the engine computes with.  Nothing is said where *exact* is off, or nothing written.
    """
    if not options.exact or "completion" not in card.abilities:
        return ()
    found: list[str] = []
    if card.quantization in _FLOATS:
        found.append(f"the weights are {card.quantization}, whose sums differ in company: a quantized file's do not")
    if options.flash_attention == "off":
        found.append('without flash attention every layout of the cache has other sums: flash_attention = "on"')
    elif threads > 1 and {options.type_k, options.type_v} <= _AS_F16:
        found.append(
            f'{threads} threads divide a lone answer\'s cache among them: type_v = "q8_0" keeps them from it, on all'
            " nodes with this model, and so does threads = 1"
        )
    return tuple(found)
