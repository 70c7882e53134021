"""``/v1/messages``: Anthropic's way to ask, and to count what would be asked."""

from __future__ import annotations

from litestar.handlers import HTTPRouteHandler

from swarmgate.http.answer import Answer
from swarmgate.http.door import Door
from swarmgate.http.exchange import Exchange, Manner
from swarmgate.http.reply import Reply
from swarmgate.http.routes import caller_of, new_route, posted
from swarmgate.http.wire.anthropic.messages import CountBody, MessagesBody, count_document, counting, messages


async def write_message(door: Door, body: MessagesBody, reply: Reply, manner: Manner) -> None:
    """Answer with a message."""
    await Answer(door, messages(body, door.dispatcher.models(), caller_of(manner)), reply).write()


async def write_count(door: Door, body: CountBody, reply: Reply, manner: Manner) -> None:
    """Count the tokens of a conversation, by the model's own template and tokenizer."""
    tokens = await door.dispatcher.tokenize(counting(body, door.dispatcher.models()), route=new_route())
    await reply.document(count_document(len(tokens)))


def anthropic_routes(door: Door) -> list[HTTPRouteHandler]:
    """Return the handlers of what is asked in Anthropic's words."""
    return [
        posted("/v1/messages", Exchange(door, MessagesBody, write_message)),
        posted("/v1/messages/count_tokens", Exchange(door, CountBody, write_count)),
    ]
