"""Draws the next token: llama.cpp's sampler chain, with a draw that depends on (seed, position) alone.

llama.cpp's own ``dist`` sampler carries a generator's state from token to token, so an answer could
not be taken up half-way.  Here the chain ends in a fresh ``dist`` for every token, seeded by a hash
of the answer's seed and the position: whoever continues an answer draws the same numbers.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable
from typing import Any

import llama_cpp
import numpy as np
import numpy.typing as npt
from swarmgate.api import RequestError, Sampling, TokenLogprob

from swarmgate_backend_llamacpp.engine.model import Model

_MASK = (1 << 64) - 1
_U32 = 0xFFFFFFFF
#: OpenAI's logit_bias that bans a token.
_BANNED = -100.0
#: More tokens than any answer has.
_EVERYTHING = 1 << 20
_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


def draw_seed(seed: int, position: int) -> int:
    """Return the 32-bit seed of the draw at *position* (tokens of the answer, from 0).

    SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014) over both;
    never 0xFFFFFFFF, which llama.cpp takes as "draw a random seed".
    """
    mixed = (seed * 0x9E3779B97F4A7C15 + position + 1) & _MASK
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = ((mixed ^ (mixed >> shift)) * factor) & _MASK
    return ((mixed ^ (mixed >> 31)) & _U32) % _U32


class Sampler:
    """The chain of one answer.  Close it when the answer ends: llama.cpp's memory is its own."""

    def __init__(
        self, model: Model, sampling: Sampling, *, seed: int, grammar: str = "", endless: bool = False
    ) -> None:
        """Build the chain; *grammar* is GBNF with the rule ``root``, *endless* bans what ends an answer.

        Raises:
            RequestError: llama.cpp does not accept the grammar, or a biased token does not exist.

        """
        self._vocab, self._size = model.vocab, model.vocabulary
        self._seed, self._position = seed, 0
        self._greedy = sampling.temperature <= 0
        self._grammar: Any = None
        self._chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
        try:
            self._fill(sampling, dict.fromkeys(model.endings, _BANNED) if endless else {})
            if grammar:
                self._grammar = self._parse(grammar)
        except BaseException:
            self.close()
            raise
        self._length = llama_cpp.llama_sampler_chain_n(self._chain)
        self._plain = self._greedy and self._grammar is None and self._length == 1

    def __repr__(self) -> str:
        return f"<Sampler seed {self._seed} position {self._position}{' grammar' if self._grammar else ''}>"

    def close(self) -> None:
        """Free what llama.cpp holds."""
        for held in (self._chain, self._grammar):
            if held:
                llama_cpp.llama_sampler_free(held)
        self._chain = self._grammar = None

    def sample(self, context: Any, row: int) -> int:
        """Draw the token that follows the batch's *row*, and remember it."""
        if self._plain:  # a third of the time of building llama.cpp's array of candidates
            self._position += 1
            return int(row_logits(context, row, self._size).argmax())
        if self._grammar is not None:
            token = self._sample_by_grammar(context, row)
            self._remember(token)
            return token
        self._add_draw()
        token = llama_cpp.llama_sampler_sample(self._chain, context, row)
        self._remove_draw()
        self._position += 1
        return token

    def replay(self, tokens: Iterable[int]) -> None:
        """Take *tokens* of an answer that is out already as drawn.

        Raises:
            RequestError: the grammar does not allow one of them: it is not this answer's grammar.

        """
        for token in tokens:
            if self._grammar is not None and not self._allowed(token):
                raise RequestError(f"token {token} of the answer to resume does not obey its grammar", param="resume")
            self._remember(token)

    def _fill(self, sampling: Sampling, bans: dict[int, float]) -> None:
        self._bias({**sampling.logit_bias, **bans})
        # OpenAI's penalties look at the whole answer, llama.cpp's repeat_penalty at the last few tokens.
        if sampling.presence_penalty or sampling.frequency_penalty:
            self._penalise(_EVERYTHING, 1.0, sampling.frequency_penalty, sampling.presence_penalty)
        if sampling.repeat_penalty != 1.0 and sampling.repeat_last_n:
            self._penalise(sampling.repeat_last_n, sampling.repeat_penalty, 0.0, 0.0)
        if self._greedy:
            self._add(llama_cpp.llama_sampler_init_greedy())
            return
        # llama.cpp's own order of the samplers that cut the tail off.
        if sampling.top_k > 0:
            self._add(llama_cpp.llama_sampler_init_top_k(sampling.top_k))
        for given, off, make in (
            (sampling.typical_p, 1.0, llama_cpp.llama_sampler_init_typical),
            (sampling.top_p, 1.0, llama_cpp.llama_sampler_init_top_p),
            (sampling.min_p, 0.0, llama_cpp.llama_sampler_init_min_p),
        ):
            if given != off:
                self._add(make(given, 1))
        self._add(llama_cpp.llama_sampler_init_temp(sampling.temperature))

    def _parse(self, grammar: str) -> Any:
        parsed = llama_cpp.llama_sampler_init_grammar(self._vocab, grammar.encode(), b"root")
        if not parsed:
            raise RequestError("the grammar is not GBNF that llama.cpp accepts", param="grammar")
        return parsed

    def _add(self, sampler: Any) -> None:
        llama_cpp.llama_sampler_chain_add(self._chain, sampler)

    def _bias(self, wanted: dict[int, float]) -> None:
        if not wanted:
            return
        biases = (llama_cpp.llama_logit_bias * len(wanted))()
        for slot, (token, bias) in zip(biases, wanted.items(), strict=True):
            if not 0 <= token < self._size:
                raise RequestError(
                    f"logit_bias names token {token}, expected 0 to {self._size - 1}", param="logit_bias"
                )
            slot.token, slot.bias = token, float("-inf") if bias <= _BANNED else bias
        self._add(llama_cpp.llama_sampler_init_logit_bias(self._size, len(biases), biases))

    def _penalise(self, last: int, repeat: float, frequency: float, presence: float) -> None:
        self._add(llama_cpp.llama_sampler_init_penalties(self._size, last, repeat, frequency, presence))

    def _add_draw(self) -> None:
        if not self._greedy:
            seed = draw_seed(self._seed, self._position)
            llama_cpp.llama_sampler_chain_add(self._chain, llama_cpp.llama_sampler_init_dist(seed))

    def _remove_draw(self) -> None:
        if not self._greedy:
            llama_cpp.llama_sampler_free(llama_cpp.llama_sampler_chain_remove(self._chain, self._length))

    def _remember(self, token: int) -> None:
        llama_cpp.llama_sampler_accept(self._chain, token)
        if self._grammar is not None:
            llama_cpp.llama_sampler_accept(self._grammar, token)
        self._position += 1

    def _sample_by_grammar(self, context: Any, row: int) -> int:
        """Draw freely, and only if the grammar forbids that token draw again among the allowed.

        Looking at one token costs little, at a whole vocabulary much; this is llama.cpp's own order
        of doing it (``common_sampler_sample``).
        """
        logits = row_logits(context, row, self._size)
        token = self._choose(self._candidates(logits), by_grammar=False)
        if self._allowed(token):
            return token
        return self._choose(self._candidates(logits), by_grammar=True)

    def _candidates(self, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.void]:
        candidates = np.zeros(self._size, _CANDIDATE)
        candidates["id"] = np.arange(self._size, dtype=np.int32)
        candidates["logit"] = logits
        return candidates

    def _choose(self, candidates: npt.NDArray[np.void], *, by_grammar: bool) -> int:
        array = _as_array(candidates)
        if by_grammar:
            llama_cpp.llama_sampler_apply(self._grammar, ctypes.byref(array))
        self._add_draw()
        llama_cpp.llama_sampler_apply(self._chain, ctypes.byref(array))
        self._remove_draw()
        return int(array.data[array.selected].id)

    def _allowed(self, token: int) -> bool:
        one = np.array([(token, 1.0, 0.0)], _CANDIDATE)
        array = _as_array(one)
        llama_cpp.llama_sampler_apply(self._grammar, ctypes.byref(array))
        return bool(np.isfinite(one["logit"][0]))


def _as_array(candidates: npt.NDArray[np.void]) -> llama_cpp.llama_token_data_array:
    rows: Any = llama_cpp.llama_token_data * len(candidates)
    data = rows.from_buffer(candidates)
    return llama_cpp.llama_token_data_array(data=data, size=len(candidates), selected=-1, sorted=False)


def row_logits(context: Any, row: int, size: int) -> npt.NDArray[np.float32]:
    """Return the logits that follow the batch's *row*, a view of *size* floats valid until the next decode."""
    return np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(context, row), shape=(size,))


def log_probabilities(
    logits: npt.NDArray[np.float32], token: int, top: int, piece: Callable[[int], bytes]
) -> TokenLogprob:
    """Return the natural-log probability of *token* and of the *top* likeliest tokens.

    They are of the model's plain distribution, before temperature and penalties, as OpenAI's are.
    *piece* gives the bytes of a token.
    """
    shifted = logits - logits.max()
    logs = shifted - np.log(np.exp(shifted, dtype=np.float64).sum())
    best: list[int] = []
    if top:
        likeliest = np.argpartition(logs, -top)[-top:]
        best = [int(index) for index in likeliest[np.argsort(-logs[likeliest], kind="stable")]]
    return TokenLogprob(
        id=token,
        data=piece(token),
        logprob=float(logs[token]),
        top=tuple(TokenLogprob(id=index, data=piece(index), logprob=float(logs[index])) for index in best),
    )
