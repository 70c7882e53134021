"""What is served under OpenAI's paths, and the tokenizer's."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from litestar import Request, Response, post, route
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, Method

from swarmgate.chat import ModelCard
from swarmgate.dispatch import Route
from swarmgate.http.answer import Answer
from swarmgate.http.bodies import header
from swarmgate.http.door import Door
from swarmgate.http.exchange import Exchange, Manner, passage_of
from swarmgate.http.reply import Reply
from swarmgate.http.visit import current
from swarmgate.http.wire.anthropic.models import entry_json, page_json
from swarmgate.http.wire.asked import Caller, chosen
from swarmgate.http.wire.chat import ChatBody, chat
from swarmgate.http.wire.completion import CompletionBody, completion
from swarmgate.http.wire.embedding import EmbeddingBody, embedding, embedding_document
from swarmgate.http.wire.models import Served, model_json, models_json
from swarmgate.http.wire.ranking import RerankBody, ranking, ranking_document
from swarmgate.http.wire.tokens import (
    DetokenizeBody,
    TokenizeBody,
    text_document,
    tokenize,
    tokens_document,
)
from swarmgate.places import capacity
from swarmgate.roster import Placed
from swarmgate.ways import advertised, preferred, replicas

#: HEAD is answered as GET is, less the body.
READ: tuple[Method, ...] = ("GET", "HEAD")
#: Clients of Anthropic's API say so by it, also where its paths are OpenAI's.
ANTHROPIC_VERSION = b"anthropic-version"


async def write_chat(door: Door, body: ChatBody, reply: Reply, manner: Manner) -> None:
    """Answer a chat."""
    await Answer(door, chat(body, door.dispatcher.models(), caller_of(manner)), reply).write()


async def write_completion(door: Door, body: CompletionBody, reply: Reply, manner: Manner) -> None:
    """Continue a text."""
    await Answer(door, completion(body, door.dispatcher.models(), caller_of(manner)), reply).write()


async def write_embeddings(door: Door, body: EmbeddingBody, reply: Reply, manner: Manner) -> None:
    """Embed texts."""
    request = embedding(body, door.dispatcher.models(), caller_of(manner))
    way = new_route()
    embeddings = await door.dispatcher.embed(request, route=way, asker=current().asker)
    current().usage = embeddings.usage
    await reply.document(embedding_document(embeddings, request.model, body.encoding_format))


async def write_ranking(door: Door, body: RerankBody, reply: Reply, manner: Manner) -> None:
    """Judge documents by a query."""
    caller = caller_of(manner)
    request = ranking(body, door.dispatcher.models(), caller)
    judged = await door.dispatcher.embed(request, route=new_route(), asker=current().asker)
    current().usage = judged.usage
    await reply.document(ranking_document(judged, request, body, caller))


async def write_tokens(door: Door, body: TokenizeBody, reply: Reply, manner: Manner) -> None:
    """Cut text into tokens."""
    request, card = tokenize(body, door.dispatcher.models())
    tokens = await door.dispatcher.tokenize(request, route=new_route())
    await reply.document(tokens_document(tokens, card, with_pieces=bool(body.with_pieces)))


async def write_text(door: Door, body: DetokenizeBody, reply: Reply, manner: Manner) -> None:
    """Join tokens to text."""
    card = chosen(door.dispatcher.models(), body.model)
    data = await door.dispatcher.detokenize(card.name, body.tokens, route=new_route())
    await reply.document(text_document(data))


def api_routes(door: Door) -> list[HTTPRouteHandler]:
    """Return the handlers of everything that models are asked."""
    chats = Exchange(door, ChatBody, write_chat)
    completions = Exchange(door, CompletionBody, write_completion)
    embeddings = Exchange(door, EmbeddingBody, write_embeddings)
    rankings = Exchange(door, RerankBody, write_ranking)
    cuts = Exchange(door, TokenizeBody, write_tokens)
    joins = Exchange(door, DetokenizeBody, write_text)
    return [
        posted("/v1/chat/completions", chats),
        posted("/v1/completions", completions),
        posted("/v1/embeddings", embeddings),
        posted("/v1/rerank", rankings),
        posted("/rerank", rankings),
        posted("/tokenize", cuts),
        posted("/detokenize", joins),
        *_model_routes(door),
    ]


def posted(path: str, exchange: ASGIApp) -> HTTPRouteHandler:
    """Return the handler that has *exchange* answer what is posted to *path*."""

    @post(path, status_code=200)
    async def answer() -> ASGIApp:
        return exchange

    return answer


def _model_routes(door: Door) -> list[HTTPRouteHandler]:
    dispatcher = door.dispatcher

    @route("/v1/models", http_method=READ)
    async def models(request: Request[Any, Any, Any]) -> Response[bytes]:
        if header(request.scope, ANTHROPIC_VERSION):
            return json(page_json(dispatcher.models()))
        served = served_models(door, relayed=passage_of(request.scope).relayed)
        return json(models_json(served, door.node, ping_seconds=door.limits.ping_seconds))

    @route("/v1/models/{name:path}", http_method=READ)
    async def model(request: Request[Any, Any, Any]) -> Response[bytes]:
        card = chosen(dispatcher.models(), str(request.path_params["name"]).removeprefix("/"))
        if header(request.scope, ANTHROPIC_VERSION):
            return json(entry_json(card))
        return json(model_json(_served(door, card, _placed(door), relayed=passage_of(request.scope).relayed)))

    return [models, model]


def served_models(door: Door, *, relayed: bool) -> list[Served]:
    """Return all models as they are served; gateways hear nothing of those that are unloaded."""
    placed = _placed(door)
    served = [_served(door, card, placed, relayed=relayed) for card in door.dispatcher.models()]
    return [each for each in served if not (relayed and each.health.unloaded)]


def _placed(door: Door) -> dict[str, Placed]:
    """Return where each model lies, by its name; of several backends' the one that has a plan."""
    return {each.model: each for each in sorted(door.swarm().placed, key=lambda each: each.plan is not None)}


def _served(door: Door, card: ModelCard, placed: Mapping[str, Placed], *, relayed: bool) -> Served:
    """Return what is told of a model; another gateway also learns the paths to it, and of them alone."""
    places, health = door.dispatcher.places(card.name), door.dispatcher.health(card.name)
    if not relayed:
        able = preferred(places)
        return Served(
            card, health, replicas=replicas(places), slots=capacity(able) or card.slots, placed=placed.get(card.name)
        )
    paths, slots = advertised(places, door.node.id)
    return Served(card, health, replicas=replicas(places), slots=slots, paths=paths)


def json(body: bytes, *, status: int = 200) -> Response[bytes]:
    """Return a response of ready-made JSON."""
    return Response(body, status_code=status, media_type="application/json")


def caller_of(manner: Manner) -> Caller:
    """Return what translations need to know of the request that this task answers, besides its body."""
    created = int(datetime.now(tz=UTC).timestamp())
    return Caller(
        id=current().id, tag=secrets.token_hex(12), created=created, session=manner.session, tokens=manner.tokens
    )


def new_route() -> Route:
    """Return a new route that the visit will tell about."""
    way = Route()
    current().routes = [way]
    return way
