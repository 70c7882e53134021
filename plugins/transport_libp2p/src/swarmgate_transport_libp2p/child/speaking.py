"""Has what is logged here told to the gateway: what libp2p says, and what our own rooms do."""

from __future__ import annotations

import logging
from collections.abc import Callable, MutableMapping
from typing import Any, NoReturn, cast

import structlog
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
    """Pass on what is logged: by libp2p, from *level* up, and by our own rooms, of which the gateway takes its pick.

    Some of the library's modules log by the root logger, so that is listened to as well.
    """
    least = logging.getLevelNamesMapping()[level.upper()]
    teller: Any = _Teller(say)
    teller.setLevel(least)  # loggers of the library have levels of their own
    logging.basicConfig(handlers=[teller], level=least, force=True)
    library = logging.getLogger("libp2p")  # noqa: TID251  # the library's own
    library.handlers.clear()
    library.propagate = True
    library.setLevel(least)

    def tell(_logger: Any, name: str, event: MutableMapping[str, Any]) -> NoReturn:
        facts = {key: str(value)[:_LONGEST] for key, value in event.items() if key != "event"}
        say(Told(cast("LogLevel", name), str(event.get("event", "")), facts))
        raise structlog.DropEvent

    structlog.configure(processors=[tell], wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG))
