"""``POST /api/chat`` and ``/api/generate``: the requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from swarmgate.chat import ChatPrompt, GenerateRequest, Message, ModelCard, Prompt, TextPrompt
from swarmgate.errors import RequestError, Unsupported
from swarmgate.http.wire.asked import Caller, Generating
from swarmgate.http.wire.messages import ToolBody, tool
from swarmgate.http.wire.ollama.conversation import PastMessage, conversation, refuse_images
from swarmgate.http.wire.ollama.forms import Lines, Said, chat_line, generate_line
from swarmgate.http.wire.ollama.names import meant
from swarmgate.http.wire.ollama.options import (
    AnswerOptions,
    most,
    sampling,
    stops,
    text_format,
    told_to_templates,
)
from swarmgate.http.wire.ollama.timing import Course
from swarmgate.http.wire.reading import Body


class LinesBody(Body, kw_only=True):
    """What a chat and a text have in common.  Models stay as they are: *keep_alive* changes nothing."""

    within: ClassVar[dict[str, type[Body]]] = {"options": AnswerOptions}

    model: Annotated[str, Meta(min_length=1)]
    stream: bool | None = None
    format: str | dict[str, Any] | None = None
    options: AnswerOptions | None = None
    think: bool | str | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    keep_alive: float | str | None = None

    @property
    def streams(self) -> bool:
        """Return whether the answer comes in lines: it does unless that is not wanted."""
        return self.stream is not False


class ChatLinesBody(LinesBody, kw_only=True):
    """A chat to be continued; without *messages* the model is only to be loaded."""

    messages: list[PastMessage] | None = None
    tools: list[ToolBody] | None = None


class GenerateLinesBody(LinesBody, kw_only=True):
    """A text to be answered, or with *raw* or *suffix* to be continued; without *prompt* the model is to be loaded."""

    prompt: str | None = None
    suffix: str | None = None
    system: str | None = None
    template: str | None = None
    context: list[int] | None = None
    raw: bool | None = None
    images: list[Any] | None = None


def chat(
    body: ChatLinesBody, cards: tuple[ModelCard, ...], caller: Caller, clock: Callable[[], float]
) -> Generating | None:
    """Translate *body*, of which one of *cards* is asked; None if there is nothing to answer.  *clock* counts seconds.

    Raises:
        RequestError: it contradicts itself; *param* says where.
        Unsupported: it has something that is not text.
        UnknownModel: nobody serves the model it names.

    """
    card = meant(cards, body.model)
    if not body.messages:
        return None
    prompt = ChatPrompt(
        messages=conversation(body.messages),
        tools=tuple(tool(entry.function) for entry in body.tools or ()),
        template_kwargs=told_to_templates(body.think),
    )
    return _generating(body, card, prompt, caller, Course(caller.created, clock), chat_line)


def generate(
    body: GenerateLinesBody, cards: tuple[ModelCard, ...], caller: Caller, clock: Callable[[], float]
) -> Generating | None:
    """Translate *body* as :func:`chat` does."""
    card = meant(cards, body.model)
    _check(body)
    if not body.prompt:
        return None
    return _generating(body, card, _prompt(body, body.prompt), caller, Course(caller.created, clock), generate_line)


def _generating(
    body: LinesBody, card: ModelCard, prompt: Prompt, caller: Caller, course: Course, said: Said
) -> Generating:
    options = body.options or AnswerOptions()
    request = GenerateRequest(
        id=caller.id,
        model=card.name,
        prompt=prompt,
        sampling=sampling(options),
        max_tokens=most(options),
        stop=stops(options),
        response_format=text_format(body.format),
        logprobs=(body.top_logprobs or 0) if body.logprobs else None,
        session=caller.session_of(),
    )
    form = Lines(said, body.model, course, streams=body.streams, thinks=body.think is not False)
    return Generating(requests=(request,), form=form, stream=body.streams)


def _prompt(body: GenerateLinesBody, text: str) -> Prompt:
    if body.raw or body.suffix:
        return TextPrompt(text=text, suffix=body.suffix or "")
    system = (Message(role="system", content=body.system),) if body.system else ()
    return ChatPrompt(
        messages=(*system, Message(role="user", content=text)), template_kwargs=told_to_templates(body.think)
    )


def _check(body: GenerateLinesBody) -> None:
    refuse_images(body.images, "images")
    if body.template:
        raise Unsupported(
            "template: the model's own is used; leave it out, or lay the text out yourself and set raw",
            param="template",
        )
    if body.context:
        raise Unsupported(
            "context: nothing is kept between requests; send the conversation to /api/chat", param="context"
        )
    if body.raw and body.system:
        raise RequestError("system: has no place in a raw prompt; write it into the prompt", param="system")
