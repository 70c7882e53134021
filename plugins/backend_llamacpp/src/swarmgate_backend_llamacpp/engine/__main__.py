"""The engine process: frames in on stdin, frames out on stdout, one model in between.

Run as ``python -m swarmgate_backend_llamacpp.engine``.  One thread reads frames and prepares work
(templates, tokens, grammars); the main thread computes.  llama.cpp releases the GIL while it
computes, so the one does not hold up the other.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from swarmgate.api import SwarmgateError, Token, Unsupported

from swarmgate_backend_llamacpp.messages import (
    Awake,
    Cancel,
    Detokenize,
    Detokenized,
    Embed,
    Failed,
    Generate,
    Load,
    LoadFailed,
    Loading,
    Ready,
    ToChild,
    Tokenize,
    Tokenized,
)
from swarmgate_backend_llamacpp.pipes import Pipes

if TYPE_CHECKING:
    from swarmgate_backend_llamacpp.engine.opening import Embedder, Writer


def main() -> None:
    """Load what the first frame says, and answer until stdin ends."""
    pipes = Pipes[ToChild](ToChild)
    # Heavy, and needed in any case: whoever has to replace another engine does this while that one still works.
    from swarmgate_backend_llamacpp.engine.opening import open_engine

    pipes.say([Awake()])
    load = pipes.read()
    if not isinstance(load, Load):
        sys.exit(f"expected Load first, got {type(load).__name__}")
    try:
        engine = _Engine(load, pipes, open_engine)
    except SwarmgateError as error:
        pipes.say([LoadFailed(str(error))])
        pipes.read()  # stay, so that this is an answer and not a death; the gateway ends us
        return
    pipes.say([Ready()])
    threading.excepthook = _end_with
    threading.Thread(target=engine.read, args=(pipes,), name="intake", daemon=True).start()
    engine.work()


class _Engine:
    def __init__(self, load: Load, pipes: Pipes[ToChild], open_engine: Callable[..., Writer | Embedder]) -> None:
        shown = -1

        def progress(fraction: float) -> None:
            nonlocal shown
            if int(fraction * 50) > shown:
                shown = int(fraction * 50)
                pipes.say([Loading(fraction)])

        self._open = open_engine(load, progress, pipes.say)

    def work(self) -> None:
        """Compute for ever."""
        self._open.run()

    def read(self, pipes: Pipes[ToChild]) -> None:
        """Take frames in for ever."""
        while True:
            frame = pipes.read()
            try:
                self._receive(frame, pipes)
            except SwarmgateError as error:
                param = getattr(error, "param", None)
                pipes.say([Failed(_number(frame), type(error).__name__, str(error), param)])

    def _receive(self, frame: ToChild, pipes: Pipes[ToChild]) -> None:
        engine = self._open
        match frame:
            case Generate(number=number, request=request):
                engine.generate(number, request)
            case Embed(number=number, request=request):
                engine.embed(number, request)
            case Cancel(number=number):
                engine.cancel(number)
            case Tokenize(number=number, request=asked):
                ids = engine.tokenize(asked)
                pipes.say([Tokenized(number, tuple(Token(id=i, data=engine.model.spoken_piece(i)) for i in ids))])
            case Detokenize(number=number, ids=ids):
                pipes.say([Detokenized(number, engine.model.join(ids))])
            case Load():
                raise Unsupported("a model is loaded already")


def _end_with(failure: threading.ExceptHookArgs) -> None:
    """End the process: without the thread that reads, the engine is deaf, and a new one is better."""
    sys.excepthook(failure.exc_type, failure.exc_value or failure.exc_type(), failure.exc_traceback)
    os._exit(70)


def _number(frame: ToChild) -> int:
    return 0 if isinstance(frame, Load) else frame.number


if __name__ == "__main__":
    main()
