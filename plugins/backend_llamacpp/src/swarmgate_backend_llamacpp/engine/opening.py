"""Opens a model for writing or for embedding, and takes requests in for it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import llama_cpp
from swarmgate.api import EmbedRequest, EngineError, Frame, GenerateRequest, ModelCard, TokenizeRequest, Unsupported

from swarmgate_backend_llamacpp.card import kv_cells
from swarmgate_backend_llamacpp.engine.batching import Batcher, sequences_for
from swarmgate_backend_llamacpp.engine.chat import ChatFormat
from swarmgate_backend_llamacpp.engine.devices import Devices
from swarmgate_backend_llamacpp.engine.embedding import EmbedInbox, EmbedLoop
from swarmgate_backend_llamacpp.engine.embedding import prepare as prepare_embedding
from swarmgate_backend_llamacpp.engine.job import Preparer
from swarmgate_backend_llamacpp.engine.links import keep_watching, watch_links
from swarmgate_backend_llamacpp.engine.loop import Cancelled, Inbox, Loop
from swarmgate_backend_llamacpp.engine.model import Context, Model, NativeLog
from swarmgate_backend_llamacpp.engine.pace import Pace
from swarmgate_backend_llamacpp.messages import Load
from swarmgate_backend_llamacpp.options import LlamaOptions

Say = Callable[[Sequence[Frame]], None]
#: Texts embedded in one decode at most.
_EMBED_TOGETHER = 32


class Writer:
    """A model that writes."""

    def __init__(self, model: Model, card: ModelCard, options: LlamaOptions, log: NativeLog, say: Say) -> None:
        self.model = model
        kept = options.kept_prompts if model.shares_prefixes else 0
        sequences = sequences_for(card.slots, kept)
        context = Context(model, options, log, cells=kv_cells(card, options), sequences=sequences, embed=False)
        batcher = Batcher(
            slots=card.slots,
            kept=kept,
            cells=context.cells,
            batch_limit=context.limit,
            exact=options.exact and model.shares_prefixes,  # recurrent state has no order of cells
        )
        pace = Pace(options.shared_step_ms / 1000, options.alone_step_ms / 1000, context.limit)
        self._inbox: Inbox = queue.SimpleQueue()
        self._loop = Loop(model, context, batcher, pace, say)
        self._preparer = Preparer(model, card, _chat_format(model, options))

    def run(self) -> None:
        """Compute for ever."""
        self._loop.run(self._inbox)

    def generate(self, number: int, request: GenerateRequest) -> None:
        """Take an answer on."""
        self._inbox.put(self._preparer.prepare(number, request))

    def embed(self, number: int, request: EmbedRequest) -> None:
        """Refuse to embed."""
        raise Unsupported(
            f"{request.model!r} writes and does not embed; serve an embedding model, or this one with embedding = 'on'",
            param="model",
        )

    def tokenize(self, request: TokenizeRequest) -> list[int]:
        """Return the tokens of a text or a chat."""
        return self._preparer.tokenize(request)

    def cancel(self, number: int) -> None:
        """Stop the work of *number*."""
        self._inbox.put(Cancelled(number))


class Embedder:
    """A model that embeds, or judges texts by a query."""

    def __init__(self, model: Model, card: ModelCard, options: LlamaOptions, log: NativeLog, say: Say) -> None:
        self.model, self._card = model, card
        context = Context(model, options, log, cells=card.context_length, sequences=_EMBED_TOGETHER, embed=True)
        if context.pooling <= 0:
            raise EngineError('this model says nothing of pooling; set pooling = "mean", "cls" or "last"')
        self._inbox: EmbedInbox = queue.SimpleQueue()
        self._loop = EmbedLoop(model, context, sequences=_EMBED_TOGETHER, say=say)

    def run(self) -> None:
        """Compute for ever."""
        self._loop.run(self._inbox)

    def generate(self, number: int, request: GenerateRequest) -> None:
        """Refuse to write."""
        does = "judges texts" if self._loop.ranks else "embeds"
        raise Unsupported(f"{request.model!r} {does} and does not write; ask another model", param="model")

    def embed(self, number: int, request: EmbedRequest) -> None:
        """Take texts on.

        Raises:
            Unsupported: they are to be judged, and the model embeds, or the other way round.

        """
        if self._loop.ranks != (request.query is not None):
            does, asked = ("judges texts", "embed") if self._loop.ranks else ("embeds", "judge texts")
            raise Unsupported(f"{request.model!r} {does} and does not {asked}; ask another model", param="model")
        self._inbox.put(prepare_embedding(number, request, self.model, self._card))

    def tokenize(self, request: TokenizeRequest) -> list[int]:
        """Return the tokens of a text; refuse chats."""
        if request.chat is not None:
            raise Unsupported(f"{request.model!r} embeds and does not chat; ask another model", param="model")
        return self.model.tokenize(request.text, special=request.special, add_special=request.add_special)

    def cancel(self, number: int) -> None:
        """Stop the work of *number*."""
        self._inbox.put(Cancelled(number))


def open_engine(load: Load, progress: Callable[[float], None], say: Say) -> Writer | Embedder:
    """Load the model and make it ready for what its card says it can.

    Raises:
        EngineError: it cannot be loaded.

    """
    card, options = load.card, load.options
    log = NativeLog(verbose=options.verbose)
    if not llama_cpp.llama_supports_rpc():
        raise EngineError(
            "llama-cpp-python was built without RPC; run `make setup-engine`, or build it with -DGGML_RPC=ON"
        )
    kind = Writer if "completion" in card.abilities else Embedder
    with _watching([part.address for part in load.parts if not part.watched]):
        devices = Devices(load.parts, card, options) if load.parts else None
        progress(0.0)
        model = Model(Path(load.path), options, log, progress, devices=devices, repack=load.repack)
        return kind(model, card, options, log, say)


@contextmanager
def _watching(addresses: Sequence[str]) -> Generator[None]:
    """Let the kernel watch the connections to *addresses*, those that there are at the end for good."""
    ended = threading.Event()
    if addresses:
        threading.Thread(target=keep_watching, args=(addresses, ended), name="links", daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        watch_links(addresses)


def _chat_format(model: Model, options: LlamaOptions) -> ChatFormat:
    templates = model.templates()
    if options.chat_template_file is not None:
        try:
            templates = {"default": Path(options.chat_template_file).read_text()}
        except (OSError, UnicodeDecodeError) as error:
            raise EngineError(f"chat_template_file {options.chat_template_file!r} cannot be read: {error}") from None
    return ChatFormat(templates, bos=model.marker(model.special("bos")), eos=model.marker(model.special("eos")))
