"""Embeds texts, or judges them by a query: many short ones in one decode, one vector or number for each."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import llama_cpp
import numpy as np
from swarmgate.api import ContextExceeded, Embeddings, EmbedRequest, Frame, ModelCard, RequestError, Usage

from swarmgate_backend_llamacpp.engine.judging import judged
from swarmgate_backend_llamacpp.engine.loop import Cancelled
from swarmgate_backend_llamacpp.engine.model import Context, Model
from swarmgate_backend_llamacpp.messages import Embedded


@dataclass(slots=True, eq=False)
class EmbedJob:
    """The token lists of one request, and the vectors found so far."""

    number: int
    request: EmbedRequest
    inputs: list[list[int]]
    vectors: list[bytes] = field(default_factory=list[bytes])


EmbedInbox = queue.SimpleQueue[EmbedJob | Cancelled]


def prepare(number: int, request: EmbedRequest, model: Model, card: ModelCard) -> EmbedJob:
    """Return the job for *request*.

    Raises:
        RequestError: an input is empty or names no token, or more dimensions are asked for than there are.
        ContextExceeded: an input is too long.

    """
    if request.dimensions is not None and not 0 < request.dimensions <= card.embedding_length:
        raise RequestError(
            f"this model's vectors have {card.embedding_length} dimensions, {request.dimensions} were asked for",
            param="dimensions",
        )
    inputs: list[list[int]] = []
    for index, given in enumerate(request.inputs):
        text = isinstance(given, str)
        if request.query is not None and text:
            ids = judged(request.query, given, model)
        else:
            ids = model.tokenize(given, special=False, add_special=True) if text else list(given)
        if not ids or given == "":
            raise RequestError(f"input[{index}] is empty", param="input")
        model.check(ids, f"input[{index}]")
        if len(ids) > card.context_length:
            raise ContextExceeded(
                f"this model's maximum context length is {card.context_length} tokens, "
                f"and input[{index}] has {len(ids)}; shorten it",
                param="input",
            )
        inputs.append(ids)
    return EmbedJob(number, request, inputs)


def batches(lengths: Sequence[int], *, tokens: int, sequences: int) -> Iterator[range]:
    """Cut inputs of *lengths* into runs of at most *tokens* tokens and *sequences* inputs.  Pure."""
    start, filled = 0, 0
    for index, length in enumerate(lengths):
        if index > start and (filled + length > tokens or index - start >= sequences):
            yield range(start, index)
            start, filled = index, 0
        filled += length
    if start < len(lengths):
        yield range(start, len(lengths))


class EmbedLoop:
    """Answers embedding requests one after the other; a cancelled one stops after its batch."""

    def __init__(
        self, model: Model, context: Context, *, sequences: int, say: Callable[[Sequence[Frame]], None]
    ) -> None:
        self._model, self._context, self._say, self._sequences = model, context, say, sequences
        #: Whether the model judges instead of embedding: it gives a number for each of its classes, the first counts.
        self.ranks = context.pooling == llama_cpp.LLAMA_POOLING_TYPE_RANK
        self._size = 1 if self.ranks else llama_cpp.llama_model_n_embd(model.handle)
        self._waiting: dict[int, EmbedJob] = {}

    def run(self, inbox: EmbedInbox) -> None:
        """Work for ever."""
        while True:
            self._take(inbox)
            for job in list(self._waiting.values()):
                self._embed(job, inbox)

    def _take(self, inbox: EmbedInbox) -> None:
        while True:
            try:
                item = inbox.get(block=not self._waiting)
            except queue.Empty:
                return
            if isinstance(item, Cancelled):
                self._waiting.pop(item.number, None)
            else:
                self._waiting[item.number] = item

    def _embed(self, job: EmbedJob, inbox: EmbedInbox) -> None:
        lengths = [len(ids) for ids in job.inputs]
        for run in batches(lengths, tokens=self._context.limit, sequences=self._sequences):
            self._take(inbox)
            if job.number not in self._waiting:
                return
            job.vectors.extend(self._compute([job.inputs[index] for index in run], job.request.dimensions))
        del self._waiting[job.number]
        embeddings = Embeddings(vectors=tuple(job.vectors), usage=Usage(prompt_tokens=sum(lengths)))
        self._say([Embedded(job.number, embeddings)])

    def _compute(self, inputs: list[list[int]], dimensions: int | None) -> Iterator[bytes]:
        self._context.begin()
        for sequence, ids in enumerate(inputs):
            self._context.clear(sequence)
            self._context.add(ids, 0, sequence, last=True, every=True)
        self._context.decode()
        for sequence in range(len(inputs)):
            raw = llama_cpp.llama_get_embeddings_seq(self._context.handle, sequence)
            vector = np.ctypeslib.as_array(raw, shape=(self._size,))[:dimensions].astype("<f4")
            length = 0.0 if self.ranks else float(np.linalg.norm(vector))
            yield (vector / length if length else vector).astype("<f4").tobytes()
