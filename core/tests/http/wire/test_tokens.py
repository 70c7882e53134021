from __future__ import annotations

from typing import Any

import msgspec
import pytest
from swarmgate.chat import ChatPrompt, Message, ModelCard, Token, TokenizeRequest, Tool
from swarmgate.errors import RequestError
from swarmgate.http.wire.reading import read
from swarmgate.http.wire.tokens import TokenizeBody, text_document, tokenize, tokens_document

_CARD = ModelCard(name="m", context_length=99)


def ask(**fields: Any) -> TokenizeRequest:
    return tokenize(read(msgspec.json.encode(fields), TokenizeBody), (_CARD,))[0]


def test_both_servers_words_are_understood() -> None:
    """llama-server's content adds special tokens when told to, vLLM's prompt unless told not to."""
    assert ask(content="a") == TokenizeRequest(model="m", text="a", add_special=False)
    assert ask(content="a", add_special=True, parse_special=False).add_special
    assert ask(prompt="a") == TokenizeRequest(model="m", text="a", add_special=True)
    assert not ask(prompt="a", add_special_tokens=False).add_special


def test_a_chat_is_cut_as_the_model_reads_it() -> None:
    """VLLM's words for it, tools included; what is wrong is named by its place."""
    function = {"name": "f", "parameters": {"type": "object"}}
    found = ask(
        messages=[{"role": "user", "content": "hi"}],
        tools=[{"type": "function", "function": function}],
        chat_template_kwargs={"enable_thinking": False},
    )
    assert found == TokenizeRequest(
        model="m",
        chat=ChatPrompt(
            messages=(Message(role="user", content="hi"),),
            tools=(Tool(name="f", parameters={"type": "object"}),),
            template_kwargs={"enable_thinking": False},
        ),
    )
    with pytest.raises(RequestError) as caught:
        ask(messages=[{"role": "user", "content": [{"type": "image_url"}]}])
    assert caught.value.param == "messages[0].content[0]"


def test_text_is_needed() -> None:
    """Without text there is nothing to cut."""
    with pytest.raises(RequestError) as found:
        ask(model="m")
    assert found.value.param == "content"


def test_pieces_are_text_or_bytes() -> None:
    """A piece that is no whole character is given as its bytes."""
    tokens = (Token(id=1, data=b"a"), Token(id=2, data=b"\xc3"))
    plain = msgspec.json.decode(tokens_document(tokens, _CARD, with_pieces=False))
    assert plain == {"tokens": [1, 2], "count": 2, "max_model_len": 99}
    pieces = msgspec.json.decode(tokens_document(tokens, _CARD, with_pieces=True))
    assert pieces["tokens"] == [{"id": 1, "piece": "a"}, {"id": 2, "piece": [195]}]


def test_the_text_has_both_names() -> None:
    """The text of tokens stands under llama-server's name and vLLM's."""
    assert msgspec.json.decode(text_document(b"a\xc3")) == {"content": "a\ufffd", "prompt": "a\ufffd"}
