"""py-libp2p's log made fit to be read: one line each to stderr, and nothing that is an everyday event to a swarm."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

#: What libp2p calls an error is, say, a peer that did not answer: each level counts as the one below it.
_BELOW = {
    logging.CRITICAL: logging.ERROR,
    logging.ERROR: logging.WARNING,
    logging.WARNING: logging.INFO,
    logging.INFO: logging.DEBUG,
}

LEVELS = ("debug", "info", "warning", "error")


class _OneStepLower(logging.Handler):
    def __init__(self, stream: TextIO, level: int) -> None:
        super().__init__()
        self._stream = stream
        self._least = level

    def emit(self, record: logging.LogRecord) -> None:
        level = _BELOW.get(record.levelno, logging.DEBUG)
        if level < self._least:
            return
        text = record.getMessage().replace("\n", " ")
        self._stream.write(f"libp2p {logging.getLevelName(level).lower()} {record.name}: {text}\n")
        self._stream.flush()


def quieten(level: str = "error", stream: TextIO | None = None) -> None:
    """Send what libp2p logs at *level* and above to *stream* (stderr), and the rest nowhere.

    It takes the whole of :mod:`logging`: libp2p also writes to the root logger.  In the child nobody else uses it.
    """
    least = logging.getLevelNamesMapping()[level.upper()]
    root = logging.getLogger()  # noqa: TID251  # it is libp2p's log that is tamed here, not ours that is written
    for handler in list(root.handlers):
        root.removeHandler(handler)
    root.addHandler(_OneStepLower(stream or sys.stderr, least))
    library = logging.getLogger("libp2p")  # noqa: TID251  # likewise
    for handler in list(library.handlers):
        library.removeHandler(handler)
    library.propagate = True
    # Records below are not even made: libp2p logs several for each frame.
    threshold = max((above for above, below in _BELOW.items() if below <= least), default=least)
    for logger in (root, library):
        logger.setLevel(threshold if least > logging.DEBUG else logging.DEBUG)
