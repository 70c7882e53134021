from __future__ import annotations

from datetime import UTC, datetime

from swarmgate.admission import ANYBODY
from swarmgate.chat import Usage
from swarmgate.decisions import Decision
from swarmgate.dispatch import Route
from swarmgate.http.records import Records
from swarmgate.http.visit import Visit

AT = datetime(2026, 1, 2, tzinfo=UTC)


def begun(records: Records, name: str, *routes: Route, now: float = 0.0) -> Visit:
    visit = Visit(id=name, asker=ANYBODY, routes=list(routes))
    records.enter(visit, "/v1/x", at=AT, now=now)
    return visit


def test_a_request_is_known_while_it_runs_and_after() -> None:
    """Running, it has no status and its seconds so far; over, what it ended with."""
    records = Records(2)
    visit = begun(records, "a", Route(model="m", worker="b1", attempts=2, reason="it died"), now=1.0)
    running = records.find("a", now=3.0)
    assert running is not None
    assert (running.status, running.seconds, running.model, running.worker) == (0, 2.0, "m", "b1")
    records.leave(visit, status=200, now=5.0)
    over = records.find("a", now=9.0)
    assert over is not None
    assert (over.status, over.seconds, over.attempts, over.reason, over.at) == (200, 4.0, 2, "it died", AT)
    assert "0 running, 1 over" in repr(records)


def test_only_the_last_are_kept() -> None:
    """Those that run are known besides; the newest come first, by when they came."""
    records = Records(2)
    slow, *visits = [begun(records, name) for name in "abcd"]
    for visit in visits:
        records.leave(visit, status=200, now=1.0)
    assert [account.id for account in records.latest(9, now=1.0)] == ["d", "c", "a"]
    assert [account.id for account in records.latest(1, now=1.0)] == ["d"]
    assert records.find("b", now=1.0) is None
    records.leave(slow, status=499, now=2.0)
    assert [account.id for account in records.latest(9, now=2.0)] == ["d", "a"]


def test_of_one_id_the_latest_is_meant() -> None:
    """Clients may use an id again: while both run, when one does, and when both are over."""
    records = Records(5)
    first, second = begun(records, "a", now=1.0), begun(records, "a", now=2.0)

    def seconds() -> float:
        found = records.find("a", now=10.0)
        assert found is not None
        return found.seconds

    assert seconds() == 8.0
    records.leave(second, status=200, now=5.0)
    records.leave(first, status=200, now=6.0)
    assert seconds() == 3.0


def test_canaries_that_did_well_are_not_remembered() -> None:
    """Every gateway asks each idle one once a minute: real requests would be forgotten for them."""
    records = Records(5)
    for status in (200, 503):
        records.leave(begun(records, "canary"), status=status, now=1.0)
    assert [account.status for account in records.latest(9, now=1.0)] == [503]


def test_none_may_be_kept() -> None:
    """Then not even those that run are known, and one that was never entered may leave."""
    records = Records(0)
    records.leave(begun(records, "a"), status=200, now=1.0)
    begun(records, "b")
    assert records.latest(9, now=1.0) == ()
    assert records.find("b", now=1.0) is None


def test_what_is_kept_of_one_request_is_bounded() -> None:
    """Of many decisions the last, each with its answer's number, and how many there were before; reasons are cut."""
    records = Records(1)
    decisions = [Decision(chosen=str(number), reason="r") for number in range(40)]
    routes = [Route(decisions=decisions, reason="x" * 1000), Route(decisions=decisions)]
    records.leave(begun(records, "a", *routes), status=200, now=1.0)
    found = records.find("a", now=1.0)
    assert found is not None
    assert (len(found.decisions), found.left_out, len(found.reason)) == (64, 16, 500)
    assert (found.decisions[0], found.decisions[-1]) == ((0, decisions[16]), (1, decisions[39]))


def test_all_that_run_are_told_and_the_last_that_are_over() -> None:
    """The newest first, by when they came."""
    records = Records(5)
    a, b, _, d = [begun(records, name) for name in "abcd"]
    for visit in (d, b, a):
        records.leave(visit, status=200, now=1.0)
    assert [account.id for account in records.lately(2, now=1.0)] == ["d", "c", "b"]
    assert [account.id for account in records.lately(0, now=1.0)] == ["c"]


def test_a_running_answer_is_told_as_far_as_it_is() -> None:
    """Its tokens so far, since when it is written, and where it waits before that."""
    records = Records(1)
    visit = begun(records, "a", Route(model="m", place=lambda: 2), now=1.0)
    (waiting,) = records.lately(0, now=2.0)
    assert (waiting.queue_place, waiting.writing_seconds, waiting.usage) == (2, None, Usage())
    visit.so_far, visit.first_at = lambda: Usage(completion_tokens=7), 3.0
    (writing,) = records.lately(0, now=5.0)
    assert (writing.writing_seconds, writing.usage.completion_tokens) == (2.0, 7)
