from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest
from swarmgate_transport_libp2p.child.mended.quiet import quieten


@pytest.fixture(autouse=True)
def _loggers() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]  # a fixture
    """Give the root logger back as it was."""
    names = ("", "libp2p")
    kept = [
        (logging.getLogger(name), logging.getLogger(name).handlers[:], logging.getLogger(name).level) for name in names
    ]
    yield
    for logger, handlers, level in kept:
        logger.handlers[:] = handlers
        logger.setLevel(level)


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("error", ["error lost"]),
        ("warning", ["error lost", "warning refused"]),
        ("info", ["error lost", "warning refused", "info odd"]),
        ("debug", ["error lost", "warning refused", "info odd", "debug said", "debug whispered"]),
    ],
)
def test_each_level_counts_as_the_one_below(level: str, expected: list[str]) -> None:
    """What libp2p calls an error is printed as a warning, and so on down; each record is one line."""
    sink = io.StringIO()
    quieten(level, sink)
    logger = logging.getLogger("libp2p.network.swarm")
    logger.critical("lost")
    logger.error("refused")
    logger.warning("odd")
    logger.info("said")
    logger.debug("whispered")
    lines = [line.split() for line in sink.getvalue().splitlines()]
    assert [f"{words[1]} {words[3]}" for words in lines] == expected
    assert all(words[0] == "libp2p" and words[2] == "libp2p.network.swarm:" for words in lines)


def test_a_record_is_a_line() -> None:
    """Line feeds within a message become spaces, whoever writes it; so does the root logger, which libp2p uses too."""
    sink = io.StringIO()
    quieten("warning", sink)
    logging.getLogger().error("Failed to open stream:\n  Error: %s", "x")
    assert sink.getvalue() == "libp2p warning root: Failed to open stream:   Error: x\n"


def test_records_that_nobody_sees_are_not_made() -> None:
    """Below the level asked for a logger is off, so that libp2p's thousands of debug records cost nothing."""
    quieten("error", io.StringIO())
    assert not logging.getLogger("libp2p.stream_muxer").isEnabledFor(logging.ERROR)
