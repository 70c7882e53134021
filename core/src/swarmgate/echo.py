"""A backend that repeats what it is told: the whole house can be tried without an engine.

Its tokens are the bytes of UTF-8, so counts, ids and log-probabilities are honest, answers are
the same every time, and an interrupted answer goes on exactly where it stopped.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager

import anyio
import msgspec

from swarmgate.chat import (
    ChatPrompt,
    Delta,
    Embeddings,
    EmbedRequest,
    Finish,
    GenerateRequest,
    ModelCard,
    Prompt,
    TextPrompt,
    Token,
    TokenizeRequest,
    TokenLogprob,
    TokenPrompt,
    Tool,
    ToolCallDelta,
    Usage,
)
from swarmgate.errors import ContextExceeded, RequestError
from swarmgate.nouns import Health
from swarmgate.parts import Options
from swarmgate.split import SplitPlan

_BYTES = 256
_FULL = 1.0
_LOAD_STEPS = 20


class EchoOptions(Options, frozen=True):
    """What the echo serves, and how slowly."""

    #: The name it is served under.
    model: str = "echo"
    #: Further names it answers to.
    aliases: tuple[str, ...] = ()
    #: Pause before each word, in seconds.
    delay_seconds: float = 0.0
    #: How long loading pretends to take, in seconds.
    load_seconds: float = 0.0
    #: How many answers are written at once.
    slots: int = 4
    #: Tokens (bytes) of prompt and answer together.
    context_length: int = 16384
    #: Length of its embeddings.
    dimensions: int = 32


class EchoBackend:
    """Answers with the words of the last message (or of the prompt), one by one."""

    def __init__(self, options: EchoOptions | None = None) -> None:
        self._options = options or EchoOptions()
        self._progress = 0.0 if self._options.load_seconds else _FULL

    def __repr__(self) -> str:
        return f"<EchoBackend {self._options.model}>"

    def models(self) -> tuple[ModelCard, ...]:
        """Return the one card."""
        options = self._options
        card = ModelCard(
            name=options.model,
            abilities=frozenset({"chat", "completion", "embedding", "rerank"}),
            slots=options.slots,
            context_length=options.context_length,
            context_train=options.context_length,
            fingerprint="echo",
            architecture="echo",
            embedding_length=options.dimensions,
            vocabulary=_BYTES,
            aliases=options.aliases,
        )
        return (card,)

    def health(self) -> Health:
        """Return ready, or how far the pretended loading has come."""
        if self._progress >= _FULL:
            return Health(ready=True)
        return Health(ready=False, reason="loading", progress=self._progress)

    async def load(self, plan: SplitPlan) -> None:
        """Pretend to load for as long as the options say."""
        for step in range(_LOAD_STEPS):
            if not self._options.load_seconds:
                break
            self._progress = step / _LOAD_STEPS
            await anyio.sleep(self._options.load_seconds / _LOAD_STEPS)
        self._progress = _FULL

    @asynccontextmanager
    async def generate(self, request: GenerateRequest) -> AsyncGenerator[AsyncIterator[Delta]]:
        """Start repeating.

        Raises:
            ContextExceeded: the prompt alone fills the context.

        """
        prompt_tokens = len(_spoken(request.prompt, whole=True))
        room = self._options.context_length - prompt_tokens
        if room <= 0:
            raise ContextExceeded(
                f"the prompt has {prompt_tokens} tokens, but the context has {self._options.context_length}; shorten it"
            )
        pieces = _Answer(request, prompt_tokens, room).pieces()
        async with aclosing(self._paced(pieces)) as deltas:
            yield deltas

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """Embed each input as a direction drawn from its hash, or judge it by the share of the query's words it has."""
        inputs = [entry.encode() if isinstance(entry, str) else _joined(entry) for entry in request.inputs]
        for index, data in enumerate(inputs):
            if len(data) > self._options.context_length:
                raise ContextExceeded(
                    f"input {index} has {len(data)} tokens, but the context holds {self._options.context_length}"
                )
        if request.query is not None:
            asked = request.query.encode()
            judged = tuple(struct.pack("<f", _share(asked, data)) for data in inputs)
            return Embeddings(vectors=judged, usage=Usage(prompt_tokens=sum(len(asked) + len(data) for data in inputs)))
        dimensions = request.dimensions or self._options.dimensions
        if dimensions > self._options.dimensions:
            raise RequestError(
                f"expected at most {self._options.dimensions} dimensions, found {dimensions}", param="dimensions"
            )
        vectors = tuple(_direction(data, self._options.dimensions, dimensions) for data in inputs)
        return Embeddings(vectors=vectors, usage=Usage(prompt_tokens=sum(map(len, inputs))))

    async def tokenize(self, request: TokenizeRequest) -> tuple[Token, ...]:
        """Cut text, or a chat's, into the bytes of its UTF-8."""
        data = request.text.encode() if request.chat is None else _spoken(request.chat, whole=True)
        return tuple(Token(id=byte, data=bytes([byte])) for byte in data)

    async def detokenize(self, model: str, ids: Sequence[int]) -> bytes:
        """Join bytes again."""
        return _joined(ids)

    async def _paced(self, pieces: Iterator[Delta]) -> AsyncGenerator[Delta]:
        for piece in pieces:
            await anyio.sleep(self._options.delay_seconds)
            yield piece


class _Answer:
    """One answer, decided in full before it is told."""

    def __init__(self, request: GenerateRequest, prompt_tokens: int, room: int) -> None:
        self._request = request
        self._prompt_tokens = prompt_tokens
        self._tool = _forced_tool(request.prompt)
        self._skip = len(request.resume.token_ids) if request.resume else 0
        whole, stop = _cut(_spoken(request.prompt), request.stop)
        limit = min(room, request.max_tokens if request.max_tokens is not None else room)
        self._finish: Finish = "length" if len(whole) > limit else "tool_calls" if self._tool else "stop"
        self._stop = stop if self._finish != "length" else ""
        # Half a character at the end is counted, as a real engine would, but never said.
        self._data = whole[:limit]

    def pieces(self) -> Iterator[Delta]:
        request = self._request
        yield Delta(seed=request.resume.seed if request.resume else request.sampling.seed or 0)
        said = 0
        for word in _words(self._data):
            said += len(word)
            fresh = word[max(0, self._skip - (said - len(word))) :]
            if fresh:
                yield self._piece(fresh, first=said == len(fresh))
        usage = Usage(prompt_tokens=self._prompt_tokens, completion_tokens=len(self._data))
        yield Delta(finish=self._finish, stop=self._stop, usage=usage)

    def _piece(self, data: bytes, *, first: bool) -> Delta:
        text = data.decode(errors="ignore")
        logprobs = (
            tuple(_certain(byte, self._request.logprobs) for byte in data) if self._request.logprobs is not None else ()
        )
        if self._tool is None:
            return Delta(text=text, token_ids=tuple(data), logprobs=logprobs)
        call = ToolCallDelta(index=0, arguments=text)
        if first:
            call = msgspec.structs.replace(call, id=f"call_{self._request.id}", name=self._tool.name)
        return Delta(tool_calls=(call,), token_ids=tuple(data), logprobs=logprobs)


def _spoken(prompt: Prompt, *, whole: bool = False) -> bytes:
    """Return what is repeated of *prompt*, or all of it."""
    match prompt:
        case TokenPrompt(ids=ids):
            return _joined(ids)
        case TextPrompt(text=text):
            return text.encode()
        case ChatPrompt(messages=messages) if whole:
            return "\n".join(message.content for message in messages).encode()
        case ChatPrompt(messages=messages):
            said = messages[-1].content if messages else ""
            return (said if _forced_tool(prompt) is None or _is_object(said) else "{}").encode()


def _forced_tool(prompt: Prompt) -> Tool | None:
    if not isinstance(prompt, ChatPrompt) or prompt.tool_choice.mode != "required":
        return None
    wanted = prompt.tool_choice.name
    return next((tool for tool in prompt.tools if wanted in (None, tool.name)), None)


def _is_object(text: str) -> bool:
    try:
        return isinstance(msgspec.json.decode(text), dict)
    except msgspec.DecodeError:
        return False


def _joined(ids: Sequence[int]) -> bytes:
    for token in ids:
        if not 0 <= token < _BYTES:
            raise RequestError(f"token id {token} is not in the vocabulary of {_BYTES}")
    return bytes(ids)


def _cut(data: bytes, stops: Sequence[str]) -> tuple[bytes, str]:
    """Return *data* before the first of *stops*, and which that is."""
    ends = [(end, stop) for stop in stops if stop and (end := data.find(stop.encode())) >= 0]
    end, stop = min(ends, default=(len(data), ""))
    return data[:end], stop


def _words(data: bytes) -> Iterator[bytes]:
    """Cut *data* after every space; joined again they are *data*."""
    while data:
        end = data.find(b" ") + 1 or len(data)
        yield data[:end]
        data = data[end:]


def _certain(byte: int, top: int | None) -> TokenLogprob:
    chosen = TokenLogprob(id=byte, data=bytes([byte]), logprob=0.0)
    return msgspec.structs.replace(chosen, top=(chosen,)) if top else chosen


def _share(asked: bytes, data: bytes) -> float:
    """Return how much of the words *asked* for are in *data*."""
    words = set(asked.lower().split())
    return len(words & set(data.lower().split())) / max(len(words), 1)


def _direction(data: bytes, drawn: int, kept: int) -> bytes:
    """Return a unit vector of *kept* float32, the front of one of *drawn* that *data* decides."""
    stream = hashlib.shake_256(data).digest(4 * drawn)
    numbers = [word / 2**31 - 1 for word in struct.unpack(f"<{drawn}I", stream)][:kept]
    length = math.sqrt(sum(number * number for number in numbers)) or 1.0
    return struct.pack(f"<{kept}f", *(number / length for number in numbers))
