"""Chats to the text a model reads, and the text it writes back to answers: one front for the engine.  Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from swarmgate.api import ChatPrompt, ResponseFormat

from swarmgate_backend_llamacpp.engine.callparser import CallParser
from swarmgate_backend_llamacpp.engine.capabilities import Capabilities, probe
from swarmgate_backend_llamacpp.engine.conversation import lay_out
from swarmgate_backend_llamacpp.engine.templates import CHATML, CHATML_STOPS, ChatTemplate, local_time
from swarmgate_backend_llamacpp.engine.thinking import Thinking, thinking_of
from swarmgate_backend_llamacpp.engine.toolformats import ToolFormat, grammar_for, openai_tool
from swarmgate_backend_llamacpp.engine.toolparser import AnswerParser, ParsedDelta

__all__ = ["AnswerParser", "ChatFormat", "ParsedDelta", "RenderedChat"]


@dataclass(frozen=True, slots=True)
class RenderedChat:
    """A chat as the model reads it, and how its answer is written and read.

    *text* has the template's own markers, the beginning of text included if the template writes it.  *grammar* is
    GBNF, empty where the answer is free.  *stops* end the answer beside the client's own.  *form* is how calls are
    read, None where there can be none.
    """

    text: str
    grammar: str = ""
    stops: tuple[str, ...] = ()
    form: ToolFormat | None = None
    names: frozenset[str] = frozenset()
    parallel: bool = True
    thinking: Thinking | None = None

    def parser(self, seed: int) -> AnswerParser:
        """Return a parser for one answer; *seed* decides the ids of its tool calls."""
        calls = None
        if self.form is not None:
            calls = CallParser(self.form, self.names, seed=seed, parallel=self.parallel)
        return AnswerParser(self.thinking, calls)


class ChatFormat:
    """How one model chats; made once per model."""

    def __init__(
        self, templates: Mapping[str, str], *, bos: str = "", eos: str = "", now: Callable[[], datetime] = local_time
    ) -> None:
        """*templates* are the GGUF's by name; ``tool_use`` is for chats with tools, and none at all means ChatML."""
        source = templates.get("default") or next(iter(templates.values()), "")
        self._stops = () if source else CHATML_STOPS
        plain = ChatTemplate(source or CHATML, bos=bos, eos=eos, now=now)
        self._plain = plain, probe(plain)
        self._tooled = self._plain
        if "tool_use" in templates:
            tooled = ChatTemplate(templates["tool_use"], bos=bos, eos=eos, now=now)
            self._tooled = tooled, probe(tooled)

    def __repr__(self) -> str:
        return f"<ChatFormat {self.capabilities}>"

    @property
    def capabilities(self) -> Capabilities:
        """Return what the template for chats with tools can do."""
        return self._tooled[1]

    def render(self, prompt: ChatPrompt, response_format: ResponseFormat) -> RenderedChat:
        """Return *prompt* as the model reads it, and what its answer must look like.

        With ``tool_choice`` none the model is not shown the tools, so it has nothing to call.

        Raises:
            Unsupported: the model's template is broken.
            RequestError: the template does not accept the messages, or a schema or tool choice cannot be had.

        """
        tools = prompt.tools if prompt.tool_choice.mode != "none" else ()
        template, found = self._tooled if tools else self._plain
        text = template.render(
            lay_out(prompt, tools, found),
            tools=[openai_tool(tool) for tool in tools] if tools and found.form is not None else None,
            extra=prompt.template_kwargs,
        )
        thinking = thinking_of(template.source, text)
        grammar = grammar_for(
            response_format,
            tools,
            prompt.tool_choice,
            parallel=prompt.parallel_tool_calls,
            form=found.spoken,
            thinking=thinking,
        )
        return RenderedChat(
            text,
            grammar,
            self._stops,
            form=found.spoken if tools else None,
            names=frozenset(tool.name for tool in tools),
            parallel=prompt.parallel_tool_calls,
            thinking=thinking,
        )
