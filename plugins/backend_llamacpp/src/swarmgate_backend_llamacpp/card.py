"""From a GGUF file's head and the options to the model's card.  Pure."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace
from swarmgate.api import Ability, ModelCard

from swarmgate_backend_llamacpp.footprint import measure
from swarmgate_backend_llamacpp.gguf_file import GgufFile
from swarmgate_backend_llamacpp.options import LlamaOptions

#: What a request may use unless the options say otherwise: more costs memory for every user.
_USUAL_CONTEXT = 8192
_TOKENS_PER_SLOT = 2048
#: llama.cpp's LLAMA_POOLING_TYPE_RANK: a reranker.
_RANK = 4


def draw_card(file: GgufFile, options: LlamaOptions) -> ModelCard:
    """Return what the model in *file* is served as."""
    train = file.number("{arch}.context_length")
    context = options.context_size or min(train or _USUAL_CONTEXT, _USUAL_CONTEXT)
    abilities = _abilities(file, options)
    embeds = "completion" not in abilities
    if embeds and train:
        context = min(context, train)
    card = ModelCard(
        name=options.name or plain_name(file.path),
        aliases=options.aliases,
        abilities=abilities,
        slots=options.slots,
        context_length=context,
        context_train=train,
        fingerprint=file.fingerprint,
        architecture=file.architecture,
        quantization=file.quantization,
        parameters=file.parameters,
        weight_bytes=file.weight_bytes,
        layers=file.number("{arch}.block_count"),
        embedding_length=file.number("{arch}.embedding_length"),
        vocabulary=file.number("tokenizer.ggml.tokens.length"),
        created=int(file.path.stat().st_mtime),
        placement=options.placement,
    )
    cells = context if embeds else kv_cells(card, options)
    return replace(card, footprint=measure(file, options, cells=cells, embeds=embeds))


def kv_cells(card: ModelCard, options: LlamaOptions) -> int:
    """Return how many tokens the KV cache holds in all."""
    return max(options.kv_size or max(card.context_length, _TOKENS_PER_SLOT * card.slots), card.context_length)


def _abilities(file: GgufFile, options: LlamaOptions) -> frozenset[Ability]:
    pooling = file.number("{arch}.pooling_type")
    if options.embedding != "off" and options.pooling == "auto" and pooling == _RANK:
        return frozenset({"rerank"})
    causal = file.metadata.get(f"{file.architecture}.attention.causal", True)
    embeds = pooling > 0 or causal is False if options.embedding == "auto" else options.embedding == "on"
    return frozenset({"embedding"} if embeds else {"chat", "completion"})


def plain_name(path: Path) -> str:
    """Return what a model is called when nobody gave it a name: its file's, less the number of its part."""
    return path.name.removesuffix(".gguf").split("-00001-of-")[0]
