"""Writes tiny GGUF models for tests: real files that llama.cpp loads in milliseconds.

model = write_llama(tmp_path / "tiny.gguf", seed=7)
talker = write_scripted(tmp_path / "scripted.gguf", ["Hello", " there", "."])
embedder = write_bert(tmp_path / "bert.gguf")
"""

from __future__ import annotations

from tinygguf.bert import JUDGING_BIAS, judging_weights, write_bert
from tinygguf.broken import write_cut_short, write_not_gguf, write_unknown_architecture, write_wrong_version
from tinygguf.llama import CHATML, Shape, write_llama, write_scripted
from tinygguf.vocabulary import Vocabulary, byte_pair_vocabulary, word_piece_vocabulary

__all__ = [
    "CHATML",
    "JUDGING_BIAS",
    "Shape",
    "Vocabulary",
    "byte_pair_vocabulary",
    "judging_weights",
    "word_piece_vocabulary",
    "write_bert",
    "write_cut_short",
    "write_llama",
    "write_not_gguf",
    "write_scripted",
    "write_unknown_architecture",
    "write_wrong_version",
]
