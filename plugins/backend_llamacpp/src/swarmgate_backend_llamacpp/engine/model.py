"""Loads a model into llama.cpp and speaks its low-level API; what is not batching or sampling."""

from __future__ import annotations

import ctypes
import sys
from collections import deque
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import llama_cpp
from swarmgate.api import EngineError, RequestError

from swarmgate_backend_llamacpp.engine.devices import Devices
from swarmgate_backend_llamacpp.engine.processors import default_threads
from swarmgate_backend_llamacpp.options import LlamaOptions

_KV_TYPES = {
    "f32": 0, "f16": 1, "q4_0": 2, "q4_1": 3, "q5_0": 6, "q5_1": 7, "q8_0": 8, "iq4_nl": 20, "bf16": 30,
}  # fmt: skip
_SPLIT_MODES = {"none": 0, "layer": 1, "row": 2}
_FLASH = {"auto": -1, "off": 0, "on": 1}
_POOLING = {"auto": -1, "mean": 1, "cls": 2, "last": 3}
#: llama.cpp's load modes: bit 0 maps the file, bit 1 locks it.
_MMAP, _MLOCK = 1, 2
_WARN, _ERROR = 3, 4
#: ggml's flash attention on the CPU takes another way, with other sums, from 64 rows on.
EXACT_ROWS = 63
#: llama.cpp's LLAMA_MAX_SEQ.
MOST_SEQUENCES = 256


class NativeLog:
    """llama.cpp's messages: errors and warnings to stderr, the latest errors kept for ours."""

    def __init__(self, *, verbose: bool) -> None:
        self.errors: deque[str] = deque(maxlen=3)
        self._verbose, self._level = verbose, 0
        self._callback = llama_cpp.llama_log_callback(self._hear)  # kept alive: C holds its address
        llama_cpp.llama_log_set(self._callback, ctypes.c_void_p(0))

    def _hear(self, level: int, text: bytes, _: object) -> None:
        self._level = level if level != 5 else self._level  # noqa: PLR2004 -- GGML_LOG_LEVEL_CONT
        line = text.decode(errors="replace").rstrip()
        if self._level == _ERROR and line:
            self.errors.append(line)
        if line and (self._verbose or self._level in (_WARN, _ERROR)):
            sys.stderr.write(f"{line}\n")


class Model:
    """Weights and vocabulary."""

    def __init__(
        self,
        path: Path,
        options: LlamaOptions,
        log: NativeLog,
        progress: Callable[[float], None],
        *,
        devices: Devices | None = None,
        repack: bool = True,
    ) -> None:
        """Load *path*, on *devices* if it is split; *progress* hears fractions in [0, 1].

        Raises:
            EngineError: llama.cpp cannot load it; the message has its reasons.

        """
        self._log = log  # C calls it for as long as the model lives
        llama_cpp.llama_backend_init()
        params = llama_cpp.llama_model_default_params()
        params.n_gpu_layers = options.gpu_layers
        params.main_gpu = options.main_gpu
        params.split_mode = _SPLIT_MODES[options.split_mode]
        params.load_mode = (_MMAP if options.mmap else 0) | (_MLOCK if options.mlock else 0)
        most = llama_cpp.llama_max_devices()
        if len(options.tensor_split) > most:
            raise EngineError(f"tensor_split has {len(options.tensor_split)} shares, expected no more than {most}")
        if options.tensor_split:
            self._split = (ctypes.c_float * most)(*options.tensor_split)
            params.tensor_split = self._split
        if not repack:
            params.use_extra_bufts = False
        self._devices = devices  # C holds addresses in it
        if devices is not None:
            devices.tell(params)

        def show(fraction: float, _: object) -> bool:
            progress(fraction)
            return True  # go on loading

        self._progress = llama_cpp.llama_progress_callback(show)
        params.progress_callback = self._progress
        handle = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
        if not handle:
            reasons = "; ".join(log.errors) or "it gave no reason"
            raise EngineError(f"llama.cpp cannot load {str(path)!r}: {reasons}")
        self.handle: Any = handle
        self.vocab: Any = llama_cpp.llama_model_get_vocab(handle)
        self.vocabulary = llama_cpp.llama_vocab_n_tokens(self.vocab)
        self.context_train = llama_cpp.llama_model_n_ctx_train(handle)
        self._pieces: dict[int, bytes] = {}
        self._spoken: dict[int, bytes] = {}

    def __repr__(self) -> str:
        return f"<Model {self.vocabulary} tokens, trained on {self.context_train}>"

    @property
    def shares_prefixes(self) -> bool:
        """Return whether a sequence's state can be cut at any token, as recurrent state cannot."""
        recurrent = llama_cpp.llama_model_is_recurrent(self.handle) or llama_cpp.llama_model_is_hybrid(self.handle)
        return not recurrent

    def tokenize(self, text: str, *, special: bool, add_special: bool = False) -> list[int]:
        """Return *text*'s tokens; *special* reads markers such as ``<|im_start|>`` as what they mean."""
        data = text.encode("utf-8", "surrogatepass")
        room = len(data) + 8
        while True:
            tokens = (llama_cpp.llama_token * room)()
            count = llama_cpp.llama_tokenize(self.vocab, data, len(data), tokens, room, add_special, special)
            if count >= 0:
                return list(tokens[:count])
            room = -count

    def prompt_tokens(self, text: str) -> list[int]:
        """Return the tokens of a rendered prompt, with the beginning-of-text token exactly once.

        Some templates write it and some leave it to the tokenizer; twice spoils the answer.
        """
        tokens = self.tokenize(text, special=True)
        start = self.special("bos")
        if llama_cpp.llama_vocab_get_add_bos(self.vocab) and start >= 0 and tokens[:1] != [start]:
            return [start, *tokens]
        return tokens

    def piece(self, token: int) -> bytes:
        """Return the bytes *token* stands for; nothing for control tokens and unknown ids."""
        known = self._pieces.get(token)
        if known is None:
            known = self._pieces[token] = self._read_piece(token, special=False)
        return known

    def check(self, tokens: Sequence[int], where: str) -> None:
        """Make sure that all *tokens* exist.

        Raises:
            RequestError: one does not; the message names it and *where* it was found.

        """
        for token in tokens:
            if not 0 <= token < self.vocabulary:
                raise RequestError(f"{where} names token {token}, expected 0 to {self.vocabulary - 1}")

    def spoken_piece(self, token: int) -> bytes:
        """Return the bytes *token* stands for, markers written out: tool calls begin with them."""
        known = self._spoken.get(token)
        if known is None:
            known = self._spoken[token] = self._read_piece(token, special=True)
        return known

    def join(self, tokens: Sequence[int]) -> bytes:
        """Return the bytes of *tokens* one after the other, markers written out.  Raises like :meth:`check`."""
        self.check(tokens, "the request")
        return b"".join(map(self.spoken_piece, tokens))

    def marker(self, token: int) -> str:
        """Return a special token as written, such as ``<|im_end|>``; empty if there is none."""
        return self._read_piece(token, special=True).decode(errors="replace") if token >= 0 else ""

    def special(self, name: str) -> int:
        """Return the id of ``bos``, ``eos``, ``fim_pre``, …, -1 where the vocabulary has none."""
        return int(getattr(llama_cpp, f"llama_vocab_{name}")(self.vocab))

    @cached_property
    def endings(self) -> frozenset[int]:
        """Return the tokens that end an answer."""
        return frozenset(t for t in range(self.vocabulary) if llama_cpp.llama_vocab_is_eog(self.vocab, t))

    def adds(self, name: str) -> bool:
        """Return whether texts get the token called *name*: ``bos``, ``eos`` or ``sep``."""
        return bool(getattr(llama_cpp, f"llama_vocab_get_add_{name}")(self.vocab))

    def template(self, name: str) -> str:
        """Return the file's template of that name, empty if there is none."""
        source = llama_cpp.llama_model_chat_template(self.handle, name.encode())
        return source.decode(errors="replace") if source else ""

    def templates(self) -> dict[str, str]:
        """Return the chat templates in the file by name; the plain one is ``default``."""
        found: dict[str, str] = {}
        for name, key in (("default", None), ("tool_use", b"tool_use")):
            source = llama_cpp.llama_model_chat_template(self.handle, key)
            if source:
                found[name] = source.decode(errors="replace")
        return found

    def _read_piece(self, token: int, *, special: bool) -> bytes:
        if not 0 <= token < self.vocabulary:
            return b""
        room = 64
        while True:
            buffer = ctypes.create_string_buffer(room)
            count = llama_cpp.llama_token_to_piece(self.vocab, token, buffer, room, 0, special)
            if count >= 0:
                return buffer.raw[:count]
            room = -count


class Context:
    """The KV cache and a batch; who holds which cells, and one decode at a time."""

    def __init__(
        self, model: Model, options: LlamaOptions, log: NativeLog, *, cells: int, sequences: int, embed: bool
    ) -> None:
        """Open a context of *cells* tokens shared by *sequences*.

        Raises:
            EngineError: llama.cpp cannot open it, for want of memory above all.

        """
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_seq_max = cells, min(sequences, MOST_SEQUENCES)
        params.n_batch = cells if embed else options.batch_size
        params.n_ubatch = EXACT_ROWS if options.exact and not embed else params.n_batch
        params.n_threads = options.threads or default_threads()
        params.n_threads_batch = options.threads_batch or params.n_threads
        params.flash_attn_type = _FLASH[options.flash_attention]
        params.type_k, params.type_v = _KV_TYPES[options.type_k], _KV_TYPES[options.type_v]
        params.kv_unified = params.swa_full = params.no_perf = True
        params.embeddings = embed
        if embed:
            params.pooling_type = _POOLING[options.pooling]
        handle = llama_cpp.llama_init_from_model(model.handle, params)
        if not handle:
            reasons = "; ".join(log.errors) or "it gave no reason"
            raise EngineError(f"llama.cpp cannot open a context of {cells} tokens: {reasons}; try a smaller kv_size")
        self.handle: Any = handle
        self.limit = int(params.n_batch)
        self.cells = llama_cpp.llama_n_ctx(handle)
        self.pooling = llama_cpp.llama_pooling_type(handle)
        self._memory: Any = llama_cpp.llama_get_memory(handle)
        self._parked: dict[int, Any] = {}
        self._batch = llama_cpp.llama_batch_init(self.limit, 0, 1)

    def __repr__(self) -> str:
        return f"<Context {self.cells} cells, batches of {self.limit}>"

    def copy(self, source: int, target: int, length: int) -> None:
        """Let *target* use the first *length* cells of *source*."""
        llama_cpp.llama_memory_seq_cp(self._memory, source, target, 0, length)

    def copy_anew(self, source: int, target: int, length: int) -> bool:
        """Give *target* the first *length* tokens of *source* in cells of its own; False if there is no room."""
        state = self._parked.get(source)
        if not self._restore(target, state if state is not None else self._save(source)):
            return False
        return bool(llama_cpp.llama_memory_seq_rm(self._memory, target, length, -1))

    def park(self, sequence: int, holder: int) -> None:
        """Put what *sequence* holds aside, in plain memory, to be copied from as *holder*."""
        self._parked[holder] = self._save(sequence)

    def forget(self, holder: int) -> None:
        """Let go of what was parked as *holder*."""
        del self._parked[holder]

    def is_parked(self, holder: int) -> bool:
        """Return whether *holder* names something parked and not a sequence."""
        return holder in self._parked

    def compact(self, sequences: Sequence[int]) -> list[int]:
        """Write *sequences* anew, each in one run of the lowest free cells; return those that did not fit."""
        saved = {sequence: self._save(sequence) for sequence in sequences}
        for sequence in sequences:
            self.clear(sequence)
        return [sequence for sequence, state in saved.items() if not self._restore(sequence, state)]

    def _save(self, sequence: int) -> Any:
        size = llama_cpp.llama_state_seq_get_size(self.handle, sequence)
        state = (ctypes.c_uint8 * size)()
        llama_cpp.llama_state_seq_get_data(self.handle, state, size, sequence)
        return state

    def _restore(self, sequence: int, state: Any) -> bool:
        return bool(llama_cpp.llama_state_seq_set_data(self.handle, state, len(state), sequence))

    def clear(self, sequence: int) -> None:
        """Let *sequence* hold nothing."""
        if self._memory:  # encoders have none
            llama_cpp.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def begin(self) -> None:
        """Start a new batch."""
        self._batch.n_tokens = 0

    def add(self, tokens: Sequence[int], start: int, sequence: int, *, last: bool, every: bool = False) -> int:
        """Add *tokens* at positions from *start*; ask for output of the last, or *every* one; return its row."""
        batch, row = self._batch, self._batch.n_tokens
        for offset, token in enumerate(tokens):
            batch.token[row + offset] = token
            batch.pos[row + offset] = start + offset
            batch.n_seq_id[row + offset] = 1
            batch.seq_id[row + offset][0] = sequence
            batch.logits[row + offset] = every
        batch.n_tokens = row + len(tokens)
        if last:
            batch.logits[batch.n_tokens - 1] = True
        return int(batch.n_tokens - 1)

    def decode(self) -> bool:
        """Compute the batch; False if the KV cache has no room for it (nothing was changed then).

        Raises:
            EngineError: llama.cpp failed; the context cannot be trusted any more.

        """
        code = llama_cpp.llama_decode(self.handle, self._batch)
        if code not in (0, 1):
            raise EngineError(f"llama_decode failed with {code} on {self._batch.n_tokens} tokens")
        return code == 0
