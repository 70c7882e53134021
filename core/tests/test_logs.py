from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator

import msgspec
import pytest
import structlog
from swarmgate.logs import configure


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]  # a fixture
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    # Taken away first: configuring would close pytest's own handlers.
    root.handlers = []
    yield
    logging.captureWarnings(capture=False)
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [msgspec.json.decode(line, type=dict[str, object]) for line in stream.getvalue().splitlines()]


def test_a_json_line_holds_the_facts_and_what_is_bound() -> None:
    """Event, level, logger, time, facts and the bound request id are in one JSON object."""
    configure("json", stream=(out := io.StringIO()))
    structlog.contextvars.bind_contextvars(request_id="r1")
    structlog.get_logger("swarmgate.crew").info("crew.mustered", seconds=1.5, node=object)
    (line,) = lines(out)
    assert list(line)[:4] == ["timestamp", "level", "logger", "event"]
    assert line | {"timestamp": ""} == {
        "timestamp": "",
        "level": "info",
        "logger": "swarmgate.crew",
        "event": "crew.mustered",
        "request_id": "r1",
        "seconds": 1.5,
        "node": "<class 'object'>",
    }


def test_libraries_log_the_same_way() -> None:
    """A stdlib logger's line has the same shape, the request id included."""
    configure("json", stream=(out := io.StringIO()))
    structlog.contextvars.bind_contextvars(request_id="r1")
    logging.getLogger("uvicorn.error").warning("lost %s", "it")
    (line,) = lines(out)
    assert (line["event"], line["logger"], line["level"], line["request_id"]) == (
        "lost it",
        "uvicorn.error",
        "warning",
        "r1",
    )


def test_a_warning_of_python_is_a_log_line() -> None:
    """Warnings do not go around the log."""
    configure("json", stream=(out := io.StringIO()))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old ways", DeprecationWarning, stacklevel=1)
    assert "old ways" in out.getvalue()


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["ours debug", "ours info", "theirs debug", "theirs info", "theirs warning"]),
        ("info", ["ours info", "theirs warning"]),
        ("warning", ["theirs warning"]),
        ("error", []),
    ],
)
def test_the_level_holds_for_us_and_libraries_are_quieter(level: str, expected: list[str]) -> None:
    """Libraries are heard from warning up, unless everything is wanted."""
    configure("json", level, stream=(out := io.StringIO()))  # type: ignore[arg-type]
    ours, theirs = structlog.get_logger("acme.part"), logging.getLogger("theirs")
    ours.debug("ours debug")
    ours.info("ours info")
    theirs.debug("theirs debug")
    theirs.info("theirs info")
    theirs.warning("theirs warning")
    assert [line["event"] for line in lines(out)] == expected


def test_the_console_is_coloured_on_a_terminal_alone() -> None:
    """In a file or a pipe there are no escape codes."""
    configure("auto", stream=(pipe := io.StringIO()))
    structlog.get_logger("swarmgate.crew").info("crew.mustered", node="n1")
    configure("auto", stream=(terminal := Terminal()))
    structlog.get_logger("swarmgate.crew").info("crew.mustered", node="n1")
    assert "\x1b[" not in pipe.getvalue()
    assert "\x1b[" in terminal.getvalue()
    assert "crew.mustered" in pipe.getvalue()
    assert "node=n1" in pipe.getvalue()


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_a_traceback_shows_no_variables(log_format: str) -> None:
    """An exception is logged in full, but not the values around it: they may be secret."""
    configure(log_format, stream=(out := io.StringIO()))  # type: ignore[arg-type]
    keys = {"hidden": 6}

    def ask() -> int:
        key = "".join(sorted("esrtec"))
        return keys[key]

    try:
        ask()
    except KeyError:
        structlog.get_logger("swarmgate.crew").exception("crew.lost")
    assert "KeyError: 'ceerst'" in out.getvalue()
    assert "hidden" not in out.getvalue()


def test_what_json_cannot_hold_is_logged_all_the_same() -> None:
    """Half a surrogate pair, or a key that is no text, loses no line."""
    configure("json", stream=(out := io.StringIO()))
    structlog.get_logger("x").info("child.said", line="\ud800")
    structlog.get_logger("x").info("child.said", facts={object(): 1})
    assert [line["event"] for line in lines(out)] == ["child.said", "child.said"]


def test_nobody_fails_because_the_log_is_closed() -> None:
    """A line that cannot be written is lost, and that is all."""
    configure("json", stream=(out := io.StringIO()))
    out.close()
    structlog.get_logger("swarmgate.crew").error("crew.mustered")


def test_a_terminal_has_colours_unless_they_are_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR leaves no escape in a line."""
    said: list[bool] = []
    for wish in ("", "1"):
        monkeypatch.setenv("NO_COLOR", wish)
        configure("console", stream=(out := Terminal()))
        structlog.get_logger("swarmgate.crew").warning("crew.left")
        said.append("\x1b" in out.getvalue())
    assert said == [True, False]
