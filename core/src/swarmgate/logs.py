"""How log lines look, ours and those of the libraries: one way for all, on standard error."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import MutableMapping
from functools import partial
from typing import Any, Literal, TextIO

import msgspec
import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import Processor

Format = Literal["auto", "console", "json"]
Level = Literal["debug", "info", "warning", "error"]


def configure(
    log_format: Format = "auto",
    log_level: Level = "info",
    *,
    stream: TextIO | None = None,
    keep: Processor | None = None,
) -> None:
    """Send every log line from *log_level* up to *stream* (standard error), in *log_format*.

    ``auto`` is ``console``; the console has colours where *stream* is a terminal.  What was bound
    through context variables, such as the request's id, is in every line.  Libraries that log
    through :mod:`logging` are heard from ``warning`` up, or in full at ``debug``.
    *keep* is shown each event that is logged, its facts still apart.
    """
    out = stream or sys.stderr
    threshold = logging.getLevelNamesMapping()[log_level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        *((keep,) if keep is not None else ()),
    ]
    handler = logging.StreamHandler(out)
    handler.setLevel(logging.DEBUG if threshold == logging.DEBUG else logging.WARNING)  # libraries alone come by it
    renderers = _renderers(log_format, out)
    handler.setFormatter(
        ProcessorFormatter(processors=[ProcessorFormatter.remove_processors_meta, *renderers], foreign_pre_chain=shared)
    )
    # `force` closes the handlers of an earlier call.
    logging.basicConfig(handlers=[handler], level=threshold, force=True)
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[*shared, structlog.processors.StackInfoRenderer(), *renderers],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=partial(_Pen, handler),
        cache_logger_on_first_use=False,
    )


class _Pen:
    """Writes our own lines to where *handler* writes the libraries'; *name* is the logger's.

    By way of :mod:`logging` a line would take twice as long.
    """

    def __init__(self, handler: logging.StreamHandler[TextIO], name: str = "") -> None:
        self._handler = handler
        self.name = name

    def msg(self, line: str) -> None:
        self._handler.acquire()
        try:
            self._handler.stream.write(f"{line}\n")
            self._handler.stream.flush()
        except (OSError, ValueError):
            pass  # nobody reads it any more, which is no fault of what is told about
        finally:
            self._handler.release()

    debug = info = warning = error = critical = msg


def _renderers(log_format: Format, stream: TextIO) -> list[Processor]:
    if log_format == "json":
        return [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_to_json),
        ]
    # Plain tracebacks: the pretty ones show local variables, and so prompts and keys.
    console = structlog.dev.ConsoleRenderer(
        colors=stream.isatty() and not os.environ.get("NO_COLOR"),  # no-color.org
        exception_formatter=structlog.dev.plain_traceback,
    )
    return [console]


def _to_json(event: MutableMapping[str, Any], **_: Any) -> str:
    first = {key: event[key] for key in ("timestamp", "level", "logger", "event") if key in event}
    line = {**first, **event}
    try:
        return msgspec.json.encode(line, enc_hook=repr).decode()
    except (TypeError, ValueError):  # keys that are no text, halves of surrogate pairs: a line must come all the same
        plain = {str(key): str(value).encode(errors="replace").decode() for key, value in line.items()}
        return msgspec.json.encode(plain).decode()
