"""From a request to a job the loop can work on: rendering, tokens, sampler, limits."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swarmgate.api import (
    ChatPrompt,
    ContextExceeded,
    GenerateRequest,
    ModelCard,
    RequestError,
    ResponseFormat,
    TextPrompt,
    TokenizeRequest,
    Unsupported,
)

from swarmgate_backend_llamacpp.engine.answer import AnswerText
from swarmgate_backend_llamacpp.engine.chat import ChatFormat
from swarmgate_backend_llamacpp.engine.sampling import Sampler
from swarmgate_backend_llamacpp.engine.schema import grammar_of
from swarmgate_backend_llamacpp.engine.steps import Task

if TYPE_CHECKING:
    from swarmgate_backend_llamacpp.engine.model import Model


@dataclass(slots=True, eq=False)
class Job:
    """One answer on its way: what to compute, how to draw, how to say it.

    *limit* is the most tokens the answer may have.
    """

    request: GenerateRequest
    task: Task
    sampler: Sampler
    text: AnswerText
    seed: int
    limit: int

    @property
    def number(self) -> int:
        """Return the number the gateway knows it by."""
        return self.task.number


class Preparer:
    """Makes jobs; safe to use beside a running decode."""

    def __init__(self, model: Model, card: ModelCard, chat: ChatFormat) -> None:
        self._model, self._card, self._chat = model, card, chat

    def prepare(self, number: int, request: GenerateRequest) -> Job:
        """Return the job for *request*.

        Raises:
            RequestError: it cannot be answered by this model; ContextExceeded if it is too long.

        """
        seed = _seed(request)
        ids, grammar, text = self._read_prompt(request, seed)
        if not ids:
            start = self._model.special("bos")
            if start < 0:
                raise RequestError("the prompt is empty, and this model has no token to begin from", param="prompt")
            ids = [start]
        room = self._card.context_length - len(ids)
        if room < 1:
            raise ContextExceeded(
                f"this model's maximum context length is {self._card.context_length} tokens, and the prompt has "
                f"{len(ids)}; shorten it, or serve the model with a larger context_size",
                param="messages" if isinstance(request.prompt, ChatPrompt) else "prompt",
            )
        limit = room if request.max_tokens is None else min(room, request.max_tokens)
        written = list(request.resume.token_ids) if request.resume else []
        sampler = Sampler(
            self._model, request.sampling, seed=seed, grammar=request.grammar or grammar, endless=request.ignore_eos
        )
        try:
            sampler.replay(written)
        except RequestError:
            sampler.close()
            raise
        for token in written:
            text.feed(token)
        return Job(request, Task(number, tuple(ids), written), sampler, text, seed, limit)

    def tokenize(self, request: TokenizeRequest) -> list[int]:
        """Return the tokens of a text, or of a chat as :meth:`prepare` would read it.

        Raises:
            RequestError: the chat cannot be laid out for this model.

        """
        if request.chat is not None:
            return self._model.prompt_tokens(self._chat.render(request.chat, ResponseFormat()).text)
        return self._model.tokenize(request.text, special=request.special, add_special=request.add_special)

    def _read_prompt(self, request: GenerateRequest, seed: int) -> tuple[Sequence[int], str, AnswerText]:
        """Return the prompt's tokens, the grammar it implies, and how to read the answer."""
        model, prompt = self._model, request.prompt
        if isinstance(prompt, ChatPrompt):
            rendered = self._chat.render(prompt, request.response_format)
            stops = request.stop + rendered.stops
            # Markers of calls and thoughts may be control tokens; elsewhere those are not for reading.
            piece = model.spoken_piece if rendered.form or rendered.thinking else model.piece
            text = AnswerText(piece, stops, rendered.parser(seed))
            return model.prompt_tokens(rendered.text), rendered.grammar, text
        text = AnswerText(model.piece, request.stop, None)
        grammar = grammar_of(request.response_format)
        if isinstance(prompt, TextPrompt):
            return self._read_text(prompt), grammar, text
        model.check(prompt.ids, "the prompt")
        return prompt.ids, grammar, text

    def _read_text(self, prompt: TextPrompt) -> list[int]:
        model = self._model
        if not prompt.suffix:
            return model.prompt_tokens(prompt.text)
        before, after, middle = (model.special(f"fim_{name}") for name in ("pre", "suf", "mid"))
        if min(before, after, middle) < 0:
            raise Unsupported("this model cannot fill in between a prompt and a suffix", param="suffix")
        head, tail = (model.tokenize(text, special=False) for text in (prompt.text, prompt.suffix))
        return [before, *head, after, *tail, middle]


def _seed(request: GenerateRequest) -> int:
    if request.resume is not None:
        return request.resume.seed
    if request.sampling.seed is not None:
        return request.sampling.seed & 0xFFFFFFFFFFFFFFFF
    return random.SystemRandom().getrandbits(32)
