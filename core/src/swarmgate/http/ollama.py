"""``/api/…``: Ollama's way to ask, to embed, and to see which models there are."""

from __future__ import annotations

from functools import partial

import anyio
import msgspec
from litestar import Response, route
from litestar.handlers import HTTPRouteHandler

from swarmgate.chat import Embeddings, EmbedRequest, TokenizeRequest, Usage
from swarmgate.errors import ContextExceeded, RequestError, Unavailable
from swarmgate.http.answer import Answer
from swarmgate.http.door import Door
from swarmgate.http.exchange import Exchange, Manner
from swarmgate.http.reply import Reply
from swarmgate.http.routes import READ, caller_of, json, new_route, posted
from swarmgate.http.visit import current
from swarmgate.http.wire.asked import Generating
from swarmgate.http.wire.ollama.asking import ChatLinesBody, GenerateLinesBody, LinesBody, chat, generate
from swarmgate.http.wire.ollama.embedding import (
    EmbedBody,
    EmbeddingsBody,
    embed_document,
    embedding,
    embedding_document,
    shortened,
)
from swarmgate.http.wire.ollama.errors import NOT_SERVED
from swarmgate.http.wire.ollama.forms import Said, chat_line, generate_line, nothing_to_say
from swarmgate.http.wire.ollama.models import ShowBody, running_json, shown_json, tags_json, version_json
from swarmgate.http.wire.ollama.names import meant
from swarmgate.http.wire.ollama.timing import rfc3339

_NANOSECONDS = 1_000_000_000


class NotServed(RequestError):
    """Ollama's way to change models, which is not this gateway's."""

    status = 501
    code = "not_served"


async def write_chat(door: Door, body: ChatLinesBody, reply: Reply, manner: Manner) -> None:
    """Answer a chat."""
    asked = chat(body, door.dispatcher.models(), caller_of(manner), anyio.current_time)
    await _write(door, body, asked, chat_line, reply, manner)


async def write_text(door: Door, body: GenerateLinesBody, reply: Reply, manner: Manner) -> None:
    """Answer a text, or continue it."""
    asked = generate(body, door.dispatcher.models(), caller_of(manner), anyio.current_time)
    await _write(door, body, asked, generate_line, reply, manner)


async def write_vectors(door: Door, body: EmbedBody, reply: Reply, manner: Manner) -> None:
    """Embed texts."""
    began = anyio.current_time()
    embeddings = await _embed(door, embedding(body, door.dispatcher.models(), caller_of(manner)), body)
    took = round((anyio.current_time() - began) * _NANOSECONDS)
    await reply.document(embed_document(embeddings, body.model, took))


async def write_vector(door: Door, body: EmbeddingsBody, reply: Reply, manner: Manner) -> None:
    """Embed one text."""
    asked = EmbedBody(model=body.model, input=body.prompt)
    embeddings = await _embed(door, embedding(asked, door.dispatcher.models(), caller_of(manner)), asked)
    await reply.document(embedding_document(embeddings))


async def write_model(door: Door, body: ShowBody, reply: Reply, manner: Manner) -> None:
    """Show a model."""
    await reply.document(shown_json(meant(door.dispatcher.models(), body.wanted)))


def ollama_routes(door: Door) -> list[HTTPRouteHandler]:
    """Return the handlers of what is asked in Ollama's words."""
    dispatcher = door.dispatcher

    @route("/api/tags", http_method=READ)
    async def tags() -> Response[bytes]:
        return json(tags_json(dispatcher.models()))

    @route("/api/ps", http_method=READ)
    async def running() -> Response[bytes]:
        return json(running_json(card for card in dispatcher.models() if dispatcher.health(card.name).ready))

    @route("/api/version", http_method=READ)
    async def version() -> Response[bytes]:
        return json(version_json())

    return [
        posted("/api/chat", Exchange(door, ChatLinesBody, write_chat)),
        posted("/api/generate", Exchange(door, GenerateLinesBody, write_text)),
        posted("/api/embed", Exchange(door, EmbedBody, write_vectors)),
        posted("/api/embeddings", Exchange(door, EmbeddingsBody, write_vector)),
        posted("/api/show", Exchange(door, ShowBody, write_model)),
        tags,
        running,
        version,
        _not_served(),
    ]


def _not_served() -> HTTPRouteHandler:
    @route(list(NOT_SERVED), http_method=("POST", "DELETE"))
    async def changing() -> None:
        raise NotServed(
            "which models there are says whoever looks after the gateway, in its configuration or by `gateway models`"
        )

    return changing


async def _write(
    door: Door, body: LinesBody, asked: Generating | None, said: Said, reply: Reply, manner: Manner
) -> None:
    """Write what was *asked*, or if that was nothing, say whether the model is loaded."""
    if asked is not None:
        await Answer(door, asked, reply).write()
        return
    card = meant(door.dispatcher.models(), body.model)
    health = door.dispatcher.health(card.name)
    if not health.ready:
        raise Unavailable(health.reason)
    line = nothing_to_say(said, body.model, rfc3339(caller_of(manner).created), streams=body.streams)
    if body.streams:
        reply.streams = True
        await reply.write(line, last=True)
    else:
        await reply.document(line)


async def _embed(door: Door, request: EmbedRequest, body: EmbedBody) -> Embeddings:
    """Embed; what does not fit is shortened if it may be."""
    if not request.inputs:
        return Embeddings(vectors=(), usage=Usage())
    dispatcher, asker, way = door.dispatcher, current().asker, new_route()
    try:
        embeddings = await dispatcher.embed(request, route=way, asker=asker)
    except ContextExceeded:
        if body.truncate is False:
            raise
        fitting = tuple([await _fitting(door, request.model, text) for text in request.inputs])
        fitted = msgspec.structs.replace(request, inputs=fitting)
        embeddings = await dispatcher.embed(fitted, route=way, asker=asker)
    current().usage = embeddings.usage
    return embeddings


async def _fitting(door: Door, model: str, text: str | tuple[int, ...]) -> tuple[int, ...]:
    """Return the tokens of *text*, as many as the model's context holds."""
    if isinstance(text, tuple):
        return text
    cut = partial(TokenizeRequest, model=model, text=text, special=False)
    whole, plain = [
        [token.id for token in await door.dispatcher.tokenize(cut(add_special=around))] for around in (True, False)
    ]
    return shortened(whole, plain, door.dispatcher.model(model).context_length)
