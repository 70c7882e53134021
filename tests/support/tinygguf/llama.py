"""Tiny llamas: random weights from a seed, or weights that recite a script."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType
from gguf.quants import quantize
from numpy.typing import NDArray

from tinygguf.vocabulary import Vocabulary, byte_pair_vocabulary

#: The chat template of the written models: ChatML, with tools and calls as Qwen 2.5 and Hermes write them.
CHATML = """\
{%- if tools %}<|im_start|>system
{% if messages[0].role == 'system' %}{{ messages[0].content }}

{% endif %}# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{%- for tool in tools %}
{{ tool | tojson }}
{%- endfor %}
</tools>

For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call><|im_end|>
{% elif messages[0].role == 'system' %}<|im_start|>system
{{ messages[0].content }}<|im_end|>
{% endif %}
{%- for message in messages %}
{%- if message.role == 'user' or (message.role == 'system' and not loop.first) \
or (message.role == 'assistant' and not message.tool_calls) %}<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% elif message.role == 'assistant' %}<|im_start|>assistant
{%- if message.content %}
{{ message.content }}
{%- endif %}
{%- for call in message.tool_calls %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
{%- endfor %}<|im_end|>
{% elif message.role == 'tool' %}<|im_start|>user
<tool_response>
{{ message.content }}
</tool_response><|im_end|>
{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How big a llama is; *width* must be a multiple of *heads*, *heads* of *kv_heads*."""

    layers: int = 2
    width: int = 64
    heads: int = 4
    kv_heads: int = 2
    feed_forward: int = 128
    context: int = 2048


class _Weights:
    """Draws matrices and hands them to the writer."""

    def __init__(
        self, writer: GGUFWriter, seed: int, half: bool, quantized: GGMLQuantizationType | None = None
    ) -> None:
        self._writer, self._quantized = writer, quantized
        self._random = np.random.default_rng(seed)
        self._type = np.float16 if half else np.float32

    def normal(self, rows: int, columns: int, scale: float) -> NDArray[np.float32]:
        return (self._random.standard_normal((rows, columns)) * scale).astype(np.float32)

    def matrix(self, name: str, data: NDArray[np.float32]) -> None:
        if self._quantized is not None and name.startswith("blk."):
            self._writer.add_tensor(name, quantize(data, self._quantized), raw_dtype=self._quantized)
        else:
            self._writer.add_tensor(name, data.astype(self._type))

    def ones(self, name: str, width: int) -> None:
        self._writer.add_tensor(name, np.ones(width, np.float32))


def write_llama(
    path: Path,
    *,
    seed: int = 1,
    shape: Shape | None = None,
    merges: int = 320,
    name: str = "tiny",
    half: bool = False,
    quantized: GGMLQuantizationType | None = GGMLQuantizationType.Q4_1,
    ends: bool = False,
    raw_bytes: bool = False,
    chat_template: str | None = CHATML,
) -> Path:
    """Write a llama with random weights to *path* and return it.

    Its greedy text wanders without settling into one token.  Unless *ends*, it never ends by
    itself; with it, each control token is as likely as any other.  Unless *raw_bytes*, it writes
    no byte above 0x7F, so that its text is whole ASCII characters; with it, half characters
    abound.  The layers' matrices are *quantized*, as those of models in use are: what the engine promises of equal
    texts does not hold for floats (decision 14); all are F16 with *half*.  *merges* sets the size of the
    vocabulary (259 tokens plus about as many).
    """
    shape = shape or Shape()
    vocabulary = byte_pair_vocabulary(merges)
    writer = _begun(path, name, shape, vocabulary, half, chat_template)
    weights = _Weights(writer, seed, half, None if half else quantized)
    head = shape.width // shape.heads
    weights.matrix("token_embd.weight", weights.normal(len(vocabulary), shape.width, 1.0))
    for layer in range(shape.layers):
        block = f"blk.{layer}"
        weights.ones(f"{block}.attn_norm.weight", shape.width)
        weights.ones(f"{block}.ffn_norm.weight", shape.width)
        # Sharp attention and strong layers: the next token then depends on the whole text, and
        # greedy text does not fall into a loop.
        sharp, strong = 2.0 / shape.width**0.5, 3.0 / shape.width**0.5
        weights.matrix(f"{block}.attn_q.weight", weights.normal(shape.width, shape.width, sharp))
        weights.matrix(f"{block}.attn_k.weight", weights.normal(head * shape.kv_heads, shape.width, sharp))
        weights.matrix(f"{block}.attn_v.weight", weights.normal(head * shape.kv_heads, shape.width, strong))
        weights.matrix(f"{block}.attn_output.weight", weights.normal(shape.width, shape.width, strong))
        weights.matrix(f"{block}.ffn_gate.weight", weights.normal(shape.feed_forward, shape.width, strong))
        weights.matrix(f"{block}.ffn_up.weight", weights.normal(shape.feed_forward, shape.width, strong))
        weights.matrix(f"{block}.ffn_down.weight", weights.normal(shape.width, shape.feed_forward, strong))
    weights.ones("output_norm.weight", shape.width)
    output = weights.normal(len(vocabulary), shape.width, 3.0 / shape.width**0.5)
    if not ends:
        output[list(vocabulary.special.values())] = 0.0
    if not raw_bytes:
        output[[number for number, token in enumerate(vocabulary.tokens) if not _is_ascii(token)]] = 0.0
    weights.matrix("output.weight", output)
    return _finished(writer, path)


def write_scripted(
    path: Path,
    script: Sequence[str],
    *,
    name: str = "scripted",
    context: int = 2048,
    chat_template: str | None = CHATML,
) -> Path:
    """Write a llama that answers every chat with the pieces of *script*, one token each, and ends.

    It knows only the token before: whatever ends in a line break (as the template's
    ``<|im_start|>assistant`` line does) is followed by the first piece.  So no piece may stand
    twice, and none may be a line break alone.

    Raises:
        ValueError: a piece is empty, stands twice, or is a lone line break.

    """
    vocabulary = byte_pair_vocabulary()
    pieces = ("\n", *script, "<|im_end|>")
    if len(set(pieces)) != len(pieces) or not all(pieces):
        raise ValueError("each piece of a script must be there once, and none may be empty or a lone line break")
    vocabulary, ids = vocabulary.with_pieces(pieces)
    shape = Shape(layers=1, width=128, context=context)
    writer = _begun(path, name, shape, vocabulary, False, chat_template)
    weights = _Weights(writer, 0, False)
    head = shape.width // shape.heads
    embeddings = np.sign(weights.normal(len(vocabulary), shape.width, 1.0))
    weights.matrix("token_embd.weight", embeddings)
    weights.ones("blk.0.attn_norm.weight", shape.width)
    weights.ones("blk.0.ffn_norm.weight", shape.width)
    sizes = {
        "attn_q": (shape.width, shape.width),
        "attn_k": (head * shape.kv_heads, shape.width),
        "attn_v": (head * shape.kv_heads, shape.width),
        "attn_output": (shape.width, shape.width),
        "ffn_gate": (shape.feed_forward, shape.width),
        "ffn_up": (shape.feed_forward, shape.width),
        "ffn_down": (shape.width, shape.feed_forward),
    }
    for matrix, (rows, columns) in sizes.items():
        weights.matrix(f"blk.0.{matrix}.weight", np.zeros((rows, columns), np.float32))
    weights.ones("output_norm.weight", shape.width)
    output = np.zeros((len(vocabulary), shape.width), np.float32)
    for before, after in itertools.pairwise(ids):
        output[after] = embeddings[before]
    weights.matrix("output.weight", output)
    return _finished(writer, path)


def _is_ascii(token: str) -> bool:
    """Tell whether a token of a byte-level vocabulary spells ASCII; blanks are spelt above U+00FF."""
    return token.startswith("<|") or all(letter in "ĠĊĉ" or "!" <= letter <= "~" for letter in token)


def _begun(
    path: Path, name: str, shape: Shape, vocabulary: Vocabulary, half: bool, chat_template: str | None
) -> GGUFWriter:
    writer = GGUFWriter(path, "llama")
    writer.add_type("model")
    writer.add_name(name)
    writer.add_file_type(LlamaFileType.MOSTLY_F16 if half else LlamaFileType.ALL_F32)
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_rope_freq_base(10_000.0)
    writer.add_rope_dimension_count(shape.width // shape.heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(vocabulary))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(list(vocabulary.tokens))
    writer.add_token_types([int(kind) for kind in vocabulary.kinds])
    writer.add_token_merges(list(vocabulary.merges))
    writer.add_bos_token_id(vocabulary.special["<|im_start|>"])
    writer.add_eos_token_id(vocabulary.special["<|im_end|>"])
    writer.add_unk_token_id(vocabulary.special["<|endoftext|>"])
    writer.add_pad_token_id(vocabulary.special["<|im_end|>"])
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)
    if chat_template is not None:
        writer.add_chat_template(chat_template)
    return writer


def _finished(writer: GGUFWriter, path: Path) -> Path:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
