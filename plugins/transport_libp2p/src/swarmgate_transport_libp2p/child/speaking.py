"""Has what libp2p logs told to the gateway, instead of wherever the library would let it go."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, cast

from swarmgate.api import Frame

from swarmgate_transport_libp2p.messages import LogLevel, Told

_LONGEST = 1000


class _Teller(logging.Handler):
    def __init__(self, say: Callable[[Frame], None]) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        level = cast("LogLevel", record.levelname.lower())
        said = record.getMessage()[:_LONGEST]
        self._say(Told(level, "library_said", {"logger": record.name, "said": said}))


def listen(say: Callable[[Frame], None], level: LogLevel) -> None:
    """Pass on what is logged from *level* up; some of the library's modules log by the root logger, so that too."""
    least = logging.getLevelNamesMapping()[level.upper()]
    teller: Any = _Teller(say)
    teller.setLevel(least)  # loggers of the library have levels of their own
    logging.basicConfig(handlers=[teller], level=least, force=True)
    library = logging.getLogger("libp2p")  # noqa: TID251  # the library's own
    library.handlers.clear()
    library.propagate = True
    library.setLevel(least)
