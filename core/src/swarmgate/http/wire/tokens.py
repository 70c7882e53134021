"""``POST /tokenize`` and ``/detokenize``, in llama-server's words and in vLLM's, and a chat's in vLLM's."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from swarmgate.chat import ChatPrompt, ModelCard, Token, TokenizeRequest
from swarmgate.errors import RequestError
from swarmgate.http.wire.asked import chosen
from swarmgate.http.wire.heading import encode
from swarmgate.http.wire.messages import MessageBody, ToolBody, message, tool
from swarmgate.http.wire.reading import INT32_MAX, Body


class TokenizeBody(Body, kw_only=True):
    """Text to be cut into tokens: *content* as llama-server calls it, or *prompt* as vLLM does.

    Or a chat, as the model would read it before it answers: *messages*, with *tools*.
    """

    model: str | None = None
    content: str | None = None
    prompt: str | None = None
    add_special: bool | None = None
    add_special_tokens: bool | None = None
    parse_special: bool | None = None
    with_pieces: bool | None = None
    messages: Annotated[list[MessageBody], Meta(min_length=1)] | None = None
    tools: list[ToolBody] | None = None
    chat_template_kwargs: dict[str, Any] | None = None


class DetokenizeBody(Body, kw_only=True):
    """Token ids to be joined to text."""

    tokens: list[Annotated[int, Meta(ge=0, le=INT32_MAX)]]
    model: str | None = None


class TokenPiece(Struct, kw_only=True):
    """A token and what it stands for: text, or bytes where they are no whole characters."""

    id: int
    piece: str | list[int]


class TokensDocument(Struct, kw_only=True):
    """The tokens, how many they are, and how many the model's context holds."""

    tokens: list[int | TokenPiece]
    count: int
    max_model_len: int | UnsetType = UNSET


class TextOfTokens(Struct, kw_only=True):
    """The text, under llama-server's name for it and under vLLM's."""

    content: str
    prompt: str


def tokenize(body: TokenizeBody, cards: tuple[ModelCard, ...]) -> tuple[TokenizeRequest, ModelCard]:
    """Translate *body*, of which one of *cards* is asked.

    Special tokens are added as either side's clients expect: with *prompt* unless told not to,
    with *content* only when told to.

    Raises:
        RequestError: there is neither text nor a chat.
        Unsupported: a message has a part that is not text.
        UnknownModel: nobody serves the model it names.

    """
    card = chosen(cards, body.model)
    if body.messages is not None:
        return TokenizeRequest(model=card.name, chat=_chat(body.messages, body)), card
    text = body.content if body.content is not None else body.prompt
    if text is None:
        raise RequestError("content: required (or prompt, or messages), but missing", param="content")
    asked = body.add_special if body.add_special is not None else body.add_special_tokens
    request = TokenizeRequest(
        model=card.name,
        text=text,
        add_special=asked if asked is not None else body.content is None,
        special=body.parse_special is not False,
    )
    return request, card


def _chat(messages: list[MessageBody], body: TokenizeBody) -> ChatPrompt:
    return ChatPrompt(
        messages=tuple(message(entry, f"messages[{index}]") for index, entry in enumerate(messages)),
        tools=tuple(tool(entry.function) for entry in body.tools or ()),
        template_kwargs=body.chat_template_kwargs or {},
    )


def tokens_document(tokens: tuple[Token, ...], card: ModelCard, *, with_pieces: bool) -> bytes:
    """Return *tokens* of the model of *card* as JSON."""
    return encode(
        TokensDocument(
            tokens=[_piece(token) if with_pieces else token.id for token in tokens],
            count=len(tokens),
            max_model_len=card.context_length or UNSET,
        )
    )


def text_document(data: bytes) -> bytes:
    """Return the bytes that tokens stand for as JSON; halves of characters become replacements."""
    text = data.decode("utf-8", "replace")
    return encode(TextOfTokens(content=text, prompt=text))


def _piece(token: Token) -> TokenPiece:
    try:
        return TokenPiece(id=token.id, piece=token.data.decode())
    except UnicodeDecodeError:
        return TokenPiece(id=token.id, piece=list(token.data))
