"""What the gateway and its engine child say to each other; see :mod:`swarmgate.frames`."""

from __future__ import annotations

from swarmgate.api import Delta, Embeddings, EmbedRequest, Frame, GenerateRequest, ModelCard, Token, TokenizeRequest

from swarmgate_backend_llamacpp.options import LlamaOptions


class Load(Frame, frozen=True):
    """Load the GGUF file *path* as *card* says; sent once, first."""

    path: str
    card: ModelCard
    options: LlamaOptions


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
FromChild = Loading | Ready | LoadFailed | Piece | Embedded | Tokenized | Detokenized | Failed
