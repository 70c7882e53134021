"""Requests and answers in the gateway's own, engine-neutral form.

Every client dialect (OpenAI chat, completions, …) is translated into these words, and every
backend answers in them.  They are immutable and travel as MessagePack without further ado.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from swarmgate.nouns import Word
from swarmgate.split import Footprint, Placement

Ability = Literal["chat", "completion", "embedding", "rerank"]
#: Why an answer ended; OpenAI's words.
Finish = Literal["stop", "length", "tool_calls", "content_filter"]


class FunctionCall(Word, frozen=True):
    """A call the model made: *arguments* is the JSON text it wrote."""

    id: str
    name: str
    arguments: str


class Message(Word, frozen=True):
    """One message of a chat.  ``developer`` is folded into ``system`` at the door."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    name: str | None = None
    reasoning: str | None = None
    tool_calls: tuple[FunctionCall, ...] = ()
    tool_call_id: str | None = None


class Tool(Word, frozen=True):
    """A function the model may call; *parameters* is a JSON schema."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = {}
    strict: bool = False


class ToolChoice(Word, frozen=True):
    """Whether a call is free (``auto``), forbidden (``none``) or forced, and which one."""

    mode: Literal["auto", "none", "required"] = "auto"
    name: str | None = None


class ResponseFormat(Word, frozen=True):
    """The form of the text: free, any JSON object, or JSON that obeys *schema*."""

    kind: Literal["text", "json_object", "json_schema"] = "text"
    name: str = ""
    schema: dict[str, Any] = {}


class ChatPrompt(Word, frozen=True, tag="chat"):
    """Messages that the model's own chat template turns into text."""

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    parallel_tool_calls: bool = True
    template_kwargs: dict[str, Any] = {}


class TextPrompt(Word, frozen=True, tag="text"):
    """Text to be continued as it stands; *suffix* asks for what goes in between, if the model can."""

    text: str
    suffix: str = ""


class TokenPrompt(Word, frozen=True, tag="tokens"):
    """Token ids of the model's own vocabulary, to be continued as they stand."""

    ids: tuple[int, ...]


Prompt = ChatPrompt | TextPrompt | TokenPrompt


class Sampling(Word, frozen=True):
    """How the next token is drawn; names, meaning and defaults are llama.cpp's.

    *temperature* 0 is greedy.  *seed* None draws a fresh one per request.  The draw for a
    position depends on (seed, position) alone.  *logit_bias* maps token ids to what is added to
    their logit; -100 and below bans.
    """

    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    typical_p: float = 1.0
    repeat_penalty: float = 1.0
    repeat_last_n: int = 64
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: dict[int, float] = {}
    seed: int | None = None


class Resume(Word, frozen=True):
    """What of an answer is already out, so that another engine goes on after it.

    *token_ids* are all ids of the answer so far, in order, as :class:`Delta` gave them.  The
    engine reads them again silently (prompt, grammar, stop strings, half characters, tool-call
    parser) and answers with what follows.  *seed* is the one the first engine drew.  The usage at
    the end counts the whole answer: the prompt without these ids, and these ids as completion.
    """

    token_ids: tuple[int, ...]
    seed: int


class GenerateRequest(Word, frozen=True):
    """What a backend needs in order to write one answer.

    *max_tokens* counts the whole answer, tokens of *resume* included; None means as far as the
    context goes.  *logprobs* None means none; k >= 0 means the chosen token's and the k likeliest
    ones'.  *grammar* is GBNF as llama.cpp reads it.  *priority* is vLLM's: of the same asker's requests that wait,
    those with less go first.
    """

    id: str
    model: str
    prompt: Prompt
    sampling: Sampling = Sampling()
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    response_format: ResponseFormat = ResponseFormat()
    grammar: str = ""
    logprobs: int | None = None
    ignore_eos: bool = False
    session: str = ""
    priority: int = 0
    resume: Resume | None = None


class TokenLogprob(Word, frozen=True):
    """A token and its natural-log probability; *data* are its bytes, maybe half a character."""

    id: int
    data: bytes
    logprob: float
    top: tuple[TokenLogprob, ...] = ()


class ToolCallDelta(Word, frozen=True):
    """A piece of a tool call: the first of an *index* has *id* and *name*, all have arguments."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


class Usage(Word, frozen=True):
    """Token counts; *cached_tokens* of the prompt's needed no computing."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0


class Delta(Word, frozen=True):
    """One piece of an answer, in order.

    *token_ids* are the tokens this piece is the news of; their text may come later, when a
    half character or a possible stop string is decided.  The last piece has *finish* and *usage*,
    and in *stop* which of the request's stop strings ended the answer; empty if none did, or if nobody knows.
    The first piece may carry *seed* (the one in force) and no text at all.
    """

    text: str = ""
    reasoning: str = ""
    token_ids: tuple[int, ...] = ()
    tool_calls: tuple[ToolCallDelta, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    seed: int | None = None
    finish: Finish | None = None
    stop: str = ""
    usage: Usage | None = None


class EmbedRequest(Word, frozen=True):
    """Texts, or lists of token ids, to be embedded; *dimensions* cuts and renormalises.

    With a *query* each text is to be judged by it instead, which only models with the ability ``rerank`` are asked:
    its vector is one number, greater the more the text has to do with the query.
    """

    id: str
    model: str
    inputs: tuple[str | tuple[int, ...], ...]
    dimensions: int | None = None
    query: str | None = None


class Embeddings(Word, frozen=True):
    """One vector per input, each as little-endian float32 bytes, of unit length unless texts were judged."""

    vectors: tuple[bytes, ...]
    usage: Usage


class TokenizeRequest(Word, frozen=True):
    """Text to be cut into tokens; *special* reads ``<|…|>`` markers as what they stand for.

    With *chat* the tokens are those of that chat, laid out by the model's own template as an answer to it would read
    it; the other fields mean nothing then.
    """

    model: str
    text: str = ""
    add_special: bool = False
    special: bool = True
    chat: ChatPrompt | None = None


class Token(Word, frozen=True):
    """A token's id and its bytes."""

    id: int
    data: bytes


class ModelCard(Word, frozen=True):
    """What a backend serves under *name*.

    *fingerprint* is a hash over the GGUF's metadata and tensor table: equal fingerprints mean
    equal weights.  *context_length* (tokens, prompt and answer together) is what one request may
    use here, *context_train* what the model was trained with.  *slots* is how many answers are
    written at once.  Sizes are in bytes.  *footprint* is None where nobody knows: a splitter then
    takes *weight_bytes* to be spread evenly.  *placement* is what the operator wants for
    this model, None for what the gateway's own setting says.  *node* is the name of the machine
    that answers, if it is another one; *paths* are the ids of the gateways on each way to one that
    computes, the next one first.  *labels* are facts for balancers, as in
    :class:`~swarmgate.nouns.Candidate`.
    """

    name: str
    abilities: frozenset[Ability] = frozenset({"chat", "completion"})
    slots: int = 1
    context_length: int = 0
    context_train: int = 0
    fingerprint: str = ""
    architecture: str = ""
    quantization: str = ""
    parameters: int = 0
    weight_bytes: int = 0
    layers: int = 0
    embedding_length: int = 0
    vocabulary: int = 0
    created: int = 0
    aliases: tuple[str, ...] = ()
    footprint: Footprint | None = None
    placement: Placement | None = None
    node: str = ""
    paths: tuple[tuple[str, ...], ...] = ()
    labels: dict[str, str] = {}


def estimated_tokens(prompt: Prompt) -> int:
    """Estimate *prompt*'s length in tokens at four characters each, for queueing and routing."""
    match prompt:
        case TokenPrompt(ids=ids):
            return len(ids)
        case TextPrompt(text=text, suffix=suffix):
            return (len(text) + len(suffix)) // 4 + 1
        case ChatPrompt(messages=messages, tools=tools):
            letters = sum(len(message.content) + 16 for message in messages)
            return (letters + len(msgspec.json.encode(tools))) // 4 + 1


#: The id of what is asked of nodes only to see whether they answer.
CANARY = "canary"


def least_asked(card: ModelCard) -> GenerateRequest:
    """Return the least that can be asked of the model of *card*: one token, to see whether any comes."""
    hello = Message(role="user", content="Hi")
    prompt = ChatPrompt(messages=(hello,)) if "chat" in card.abilities else TextPrompt("Hi")
    return GenerateRequest(id=CANARY, model=card.name, prompt=prompt, max_tokens=1)
