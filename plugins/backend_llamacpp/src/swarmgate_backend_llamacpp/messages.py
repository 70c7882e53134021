"""What the gateway and its engine child say to each other; see :mod:`swarmgate.frames`."""

from __future__ import annotations

from swarmgate.api import (
    Delta,
    Embeddings,
    EmbedRequest,
    Frame,
    GenerateRequest,
    ModelCard,
    Token,
    TokenizeRequest,
    Word,
)

from swarmgate_backend_llamacpp.options import LlamaOptions


class Awake(Frame, frozen=True):
    """The process is up and waits to be told what to load."""


class RemotePart(Word, frozen=True):
    """A worker's part of the model: so many *units* (layers, the output as one more) for the RPC server at *address*.

    *address* is ``host:port`` with an IPv4 address.  *watched*: somebody else notices when the worker is gone.
    """

    address: str
    units: int
    watched: bool = True


class Load(Frame, frozen=True):
    """Load the GGUF file *path* as *card* says; sent once, first.

    *parts* are those of the workers, who have the last units, in order; none: the whole model is here.  *repack*
    False keeps llama.cpp from rearranging weights for this CPU, which makes sums other than a worker's.
    """

    path: str
    card: ModelCard
    options: LlamaOptions
    parts: tuple[RemotePart, ...] = ()
    repack: bool = True


class Loading(Frame, frozen=True):
    """How far loading has come, in [0, 1]."""

    progress: float


class Ready(Frame, frozen=True):
    """The model is loaded and answers."""


class LoadFailed(Frame, frozen=True):
    """The model cannot be loaded, and trying again will not help; *message* says why."""

    message: str


class Generate(Frame, frozen=True):
    """Write an answer; told about with *number*."""

    number: int
    request: GenerateRequest


class Embed(Frame, frozen=True):
    """Embed texts."""

    number: int
    request: EmbedRequest


class Tokenize(Frame, frozen=True):
    """Cut text into tokens."""

    number: int
    request: TokenizeRequest


class Detokenize(Frame, frozen=True):
    """Join tokens to bytes."""

    number: int
    ids: tuple[int, ...]


class Cancel(Frame, frozen=True):
    """Stop the work of *number*; nothing more is said about it."""

    number: int


class Piece(Frame, frozen=True):
    """A piece of an answer; the one with ``finish`` is the last."""

    number: int
    delta: Delta


class Embedded(Frame, frozen=True):
    """The vectors."""

    number: int
    embeddings: Embeddings


class Tokenized(Frame, frozen=True):
    """The tokens."""

    number: int
    tokens: tuple[Token, ...]


class Detokenized(Frame, frozen=True):
    """The bytes."""

    number: int
    data: bytes


class Failed(Frame, frozen=True):
    """The work of *number* failed; *kind* names an error class of :mod:`swarmgate.errors`."""

    number: int
    kind: str
    message: str
    param: str | None = None


ToChild = Load | Generate | Embed | Tokenize | Detokenize | Cancel
FromChild = Awake | Loading | Ready | LoadFailed | Piece | Embedded | Tokenized | Detokenized | Failed
