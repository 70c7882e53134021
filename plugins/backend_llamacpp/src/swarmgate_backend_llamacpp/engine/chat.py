"""Chats to the text a model reads, and the text it writes back to answers: one front for the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from swarmgate.api import ChatPrompt, Message, ResponseFormat, ToolCallDelta

from swarmgate_backend_llamacpp.engine.templates import CHATML, CHATML_STOPS, ChatTemplate


@dataclass(frozen=True, slots=True)
class ParsedDelta:
    """What a piece of text turned out to be."""

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()


class Parser:
    """Everything is content."""

    called = False

    def feed(self, text: str) -> ParsedDelta:
        """Take *text* in and return what is certain now."""
        return ParsedDelta(text)

    def finish(self) -> ParsedDelta:
        """Return what was held back."""
        return ParsedDelta()


@dataclass(frozen=True, slots=True)
class RenderedChat:
    """A chat as the model reads it, and how its answer is written and read."""

    text: str
    grammar: str = ""
    stops: tuple[str, ...] = ()

    def parser(self, seed: int) -> Parser:
        """Return a parser for one answer; *seed* decides the ids of its tool calls."""
        return Parser()


class ChatFormat:
    """How one model chats; made once per model."""

    def __init__(self, templates: Mapping[str, str], *, bos: str = "", eos: str = "") -> None:
        """*templates* are the GGUF's by name (``default``, ``tool_use``); none means ChatML."""
        source = templates.get("default", CHATML)
        self._template = ChatTemplate(source, bos=bos, eos=eos)
        self._stops = CHATML_STOPS if "default" not in templates else ()

    def render(self, prompt: ChatPrompt, response_format: ResponseFormat) -> RenderedChat:
        """Return *prompt* as the model reads it.

        Raises:
            RequestError: the model's template does not accept the messages.

        """
        text = self._template.render([_plain(message) for message in prompt.messages], extra=prompt.template_kwargs)
        return RenderedChat(text, stops=self._stops)


def _plain(message: Message) -> dict[str, Any]:
    return {"role": message.role, "content": message.content}
