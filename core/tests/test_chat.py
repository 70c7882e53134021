from __future__ import annotations

from swarmgate.chat import ChatPrompt, ModelCard, TextPrompt, least_asked


def test_the_least_that_can_be_asked_is_one_token() -> None:
    """Of a model that can chat by a chat, of another by a text."""
    chat, text = (
        least_asked(ModelCard(name="m", abilities=frozenset({"chat"}))),
        least_asked(ModelCard(name="m", abilities=frozenset())),
    )
    assert (chat.max_tokens, text.max_tokens, chat.model) == (1, 1, "m")
    assert isinstance(chat.prompt, ChatPrompt)
    assert isinstance(text.prompt, TextPrompt)
