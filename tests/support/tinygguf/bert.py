"""A tiny BERT: an embedding model in which texts that share words are near each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gguf import GGUFWriter, LlamaFileType, PoolingType
from numpy.typing import NDArray

from tinygguf.vocabulary import Vocabulary, word_piece_vocabulary

#: What a reranker adds to every number.
JUDGING_BIAS = 0.25


def judging_weights(width: int) -> NDArray[np.float32]:
    """Return by what a reranker weights the first token's vector."""
    return np.random.default_rng(99).standard_normal(width).astype(np.float32)


def write_bert(
    path: Path, *, seed: int = 1, width: int = 64, context: int = 512, name: str = "tiny-bert", ranks: bool = False
) -> Path:
    """Write an embedding model (mean pooling, not causal, *width* numbers a vector) to *path* and return it.

    The layers are weak, so a vector is almost the mean of its words' vectors.  One that *ranks* gives a number
    instead: the first token's vector, weighted by :func:`judging_weights`.
    """
    layers, heads, feed_forward = 2, 4, 2 * width
    vocabulary = word_piece_vocabulary()
    random = np.random.default_rng(seed)
    writer = GGUFWriter(path, "bert")
    writer.add_type("model")
    writer.add_name(name)
    writer.add_file_type(LlamaFileType.ALL_F32)
    writer.add_block_count(layers)
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(feed_forward)
    writer.add_head_count(heads)
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)
    writer.add_pooling_type(PoolingType.RANK if ranks else PoolingType.MEAN)
    _add_vocabulary(writer, vocabulary)

    def matrix(tensor: str, rows: int, columns: int, scale: float) -> None:
        writer.add_tensor(tensor, (random.standard_normal((rows, columns)) * scale).astype(np.float32))

    def vector(tensor: str, length: int, value: float) -> None:
        writer.add_tensor(tensor, np.full(length, value, np.float32))

    matrix("token_embd.weight", len(vocabulary), width, 1.0)
    matrix("token_types.weight", 2, width, 0.01)
    matrix("position_embd.weight", context, width, 0.05)
    vector("token_embd_norm.weight", width, 1.0)
    vector("token_embd_norm.bias", width, 0.0)
    weak = 0.2 / width**0.5
    for layer in range(layers):
        block = f"blk.{layer}"
        for projection in ("attn_q", "attn_k", "attn_v", "attn_output"):
            matrix(f"{block}.{projection}.weight", width, width, weak)
            vector(f"{block}.{projection}.bias", width, 0.0)
        matrix(f"{block}.ffn_up.weight", feed_forward, width, weak)
        vector(f"{block}.ffn_up.bias", feed_forward, 0.0)
        matrix(f"{block}.ffn_down.weight", width, feed_forward, weak)
        vector(f"{block}.ffn_down.bias", width, 0.0)
        for norm in ("attn_output_norm", "layer_output_norm"):
            vector(f"{block}.{norm}.weight", width, 1.0)
            vector(f"{block}.{norm}.bias", width, 0.0)
    if ranks:
        writer.add_tensor("cls.output.weight", judging_weights(width).reshape(1, width))
        vector("cls.output.bias", 1, JUDGING_BIAS)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_vocabulary(writer: GGUFWriter, vocabulary: Vocabulary) -> None:
    writer.add_tokenizer_model("bert")
    writer.add_token_type_count(2)
    writer.add_token_list(list(vocabulary.tokens))
    writer.add_token_types([int(kind) for kind in vocabulary.kinds])
    writer.add_pad_token_id(vocabulary.special["[PAD]"])
    writer.add_unk_token_id(vocabulary.special["[UNK]"])
    writer.add_bos_token_id(vocabulary.special["[CLS]"])
    writer.add_sep_token_id(vocabulary.special["[SEP]"])
    writer.add_eos_token_id(vocabulary.special["[SEP]"])
    writer.add_mask_token_id(vocabulary.special["[MASK]"])
