from __future__ import annotations

import gc
import io
import logging
import weakref
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import anyio.to_thread
import pytest
from swarmgate.journal import Event, Journal, younger


def keep(journal: Journal, event: str = "some.event", **facts: Any) -> None:
    kept = {"timestamp": "2026-01-01T00:00:00Z", "level": "info", "logger": "t", "event": event, **facts}
    assert journal(None, "info", kept) is kept


def test_the_latest_are_kept_with_numbers_that_count_up() -> None:
    """Older ones go as newer ones come, and numbers stay what they were."""
    journal = Journal(2)
    for name in ("a", "b", "c"):
        keep(journal, name)
    assert [(event.number, event.facts["event"]) for event in journal.after(0)] == [(2, "b"), (3, "c")]
    assert [event.number for event in journal.after(2)] == [3]
    assert (journal.after(3), journal.newest) == ([], 3)


def test_a_journal_of_none_keeps_none() -> None:
    """It passes events on all the same."""
    journal = Journal(0)
    keep(journal)
    assert (journal.after(0), journal.newest) == ([], 0)


class Whole:
    def __repr__(self) -> str:
        return "<Whole>"


def test_values_are_kept_and_objects_are_not() -> None:
    """Numbers and lists stay what they are; what else there is becomes its text, and may go."""
    journal, thing = Journal(1), Whole()
    seen = weakref.ref(thing)
    keep(journal, count=1, ratio=0.5, yes=True, none=None, names=["a"], thing=thing, half="\ud800", odd={(1,): thing})
    del thing
    gc.collect()
    assert seen() is None
    (event,) = journal.after(0)
    assert {key: event.facts[key] for key in ("count", "ratio", "yes", "none", "names", "thing", "half")} == {
        "count": 1,
        "ratio": 0.5,
        "yes": True,
        "none": None,
        "names": ["a"],
        "thing": "<Whole>",
        "half": "?",
    }
    assert event.facts["odd"] == "{(1,): <Whole>}"


def test_what_is_long_is_cut() -> None:
    """A thousand events take a bounded place."""
    journal = Journal(1)
    facts: dict[str, Any] = {f"fact{number}": number for number in range(100)}
    keep(journal, text="x" * 100_000, names=["y" * 100_000], **facts)
    (event,) = journal.after(0)
    assert len(event.facts) == 64
    assert all(len(str(value)) <= 8001 for value in event.facts.values())


def test_a_traceback_is_kept_as_text() -> None:
    """Its frames, which hold prompts, are let go of."""
    journal = Journal(1)
    try:
        raise ValueError("broken")  # noqa: TRY301  # to have a traceback
    except ValueError as error:
        keep(journal, exc_info=error)
    (event,) = journal.after(0)
    assert "ValueError: broken" in event.facts["exception"]
    assert "exc_info" not in event.facts


def test_levels_are_in_order() -> None:
    """An event reaches its own level and those below; one of an unknown level reaches all."""
    event = Event(1, {"level": "warning"})
    assert [event.reaches(level) for level in ("debug", "warning", "error")] == [True, True, False]
    assert Event(1, {"level": "odd"}).reaches("critical")


def test_the_young_ones_can_be_told() -> None:
    """By their own times."""
    old, new = (Event(number, {"timestamp": f"2026-01-01T00:00:0{number}Z"}) for number in (1, 5))
    assert younger([old, new], timedelta(seconds=3), now=datetime(2026, 1, 1, 0, 0, 6, tzinfo=UTC)) == [new]


@pytest.mark.anyio
async def test_whoever_follows_is_woken() -> None:
    """By an event of this thread at once, and of another one soon; also when it was there before."""
    journal = Journal(5)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(journal.beyond, 0)
            await anyio.wait_all_tasks_blocked()
            keep(journal)
        await journal.beyond(0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(journal.beyond, 1)
            await anyio.wait_all_tasks_blocked()
            await anyio.to_thread.run_sync(keep, journal)
    assert journal.newest == 2


def test_what_libraries_log_is_kept_without_logging_s_own_things() -> None:
    """A record of the standard library is an event like others."""
    from structlog.stdlib import ProcessorFormatter

    journal = Journal(1)
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(
        ProcessorFormatter(processors=[ProcessorFormatter.remove_processors_meta, str], foreign_pre_chain=[journal])  # type: ignore[list-item]
    )
    handler.emit(logging.LogRecord("lib", logging.WARNING, "p", 1, "lost %s", ("it",), None))
    assert journal.after(0)[0].facts == {"event": "lost it"}
