from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from swarmgate.cli.views import MODELS, NODES, REQUESTS, View, sparkline
from swarmgate.http.wire.members import PeerDocument, WayDocument, WorkerDocument
from swarmgate.http.wire.requests import RequestSummary
from swarmgate.http.wire.swarm import GatewayDocument, NodeDocument, PlacedModel
from swarmgate.http.wire.watching import SampleDocument, WatchedSwarm

AT = datetime(2026, 1, 1, tzinfo=UTC)


def a_sample(**fields: Any) -> SampleDocument:
    given: dict[str, Any] = {
        "at": AT,
        "tokens_per_second": 0.0,
        "requests_per_second": 0.0,
        "failures_per_second": 0.0,
        "running": 0,
        "waiting": 0,
        "ready": 1,
    }
    return SampleDocument(**(given | fields))


def a_request(name: str, **fields: Any) -> RequestSummary:
    given: dict[str, Any] = {
        "at": AT,
        "route": "/v1/chat/completions",
        "status": None,
        "seconds": 1.25,
        "queue_ms": 0,
        "attempts": 1,
        "resumed": 0,
    }
    return RequestSummary(id=name, **(given | fields))


def a_state(**fields: Any) -> WatchedSwarm:
    gateway = GatewayDocument(name="home\x1b", id="12D3", version="0.1", uptime_seconds=7)
    given: dict[str, Any] = {"gateway": gateway, "models": [], "workers": [], "requests": []}
    return WatchedSwarm(**(given | fields))


def test_the_heading_says_who_it_is_or_that_nobody_is_there() -> None:
    """Whatever comes next takes that back."""
    assert View().heading() == "asking the gateway"
    view = View().told(a_state())
    assert view.heading() == "home?, version 0.1, up 7 s"
    gone = replace(view, gone="http://h:1")
    assert gone.heading() == "the gateway at http://h:1 is not running; trying again"
    assert gone.told(a_state()).heading() == view.heading()
    assert gone.sampled([a_sample()]).heading() == view.heading()


def test_nodes_are_those_that_answer_and_those_that_could() -> None:
    """Backends and gateways that answer can be drained; those that are only offered, and workers, cannot."""
    common: dict[str, Any] = {"node": "n", "addresses": []}
    way = WayDocument(address="tls://x@h:1/gateway", kind="direct", rtt_seconds=0.001)
    state = a_state(
        models=[PlacedModel(name="m", backend="b", placement="auto", ready=True)],
        nodes=[
            NodeDocument(name="b", state="ready", models=["m"], in_flight=1, slots=4, tokens_per_second=12.34),
            NodeDocument(name="g1", node="hall", state="draining", models=["x"], in_flight=0),
            NodeDocument(name="s", state="broken", models=["y"], in_flight=0, reason="it failed"),
        ],
        gateways=[
            PeerDocument(name="g1", service="gateway", state="usable", way=way, **common),
            PeerDocument(name="g2", service="gateway", state="left_out", reason="silent", **common),
        ],
        workers=[WorkerDocument(name="w", service="llama-rpc", state="usable", model="m", **common)],
    )
    rows = View().told(state).nodes()
    assert all(len(row.cells) == len(NODES) for row in rows)
    assert [(row.cells, row.drains, row.draining) for row in rows] == [
        (("b", "backend", "ready", "1/4", "12.3", "-", "m"), "b", False),
        (("hall", "gateway", "draining", "0", "-", "tls, direct 1.0 ms", "x"), "g1", True),
        (("s", "server", "broken", "0", "-", "-", "it failed"), "s", False),
        (("g2", "gateway", "not reached", "-", "-", "-", "silent"), "", False),
        (("w", "worker", "usable", "-", "-", "-", "has a part of m"), "", False),
    ]
    assert len({row.key for row in rows}) == len(rows)


def test_models_show_how_far_they_have_come() -> None:
    """A model that is being loaded has its percentage in words."""
    model = PlacedModel(name="m", backend="b", placement="auto", ready=False, reason="loading", progress=0.43)
    (row,) = View().told(a_state(models=[model])).models()
    assert len(row.cells) == len(MODELS)
    assert (row.cells[0], row.cells[2]) == ("m", "loading 43%")


def test_requests_show_what_they_are_at() -> None:
    """Their place in the queue, their phase, or how they ended."""
    requests = [
        a_request("req_0123456789abcdef", queue_place=3, phase="queued", model="m"),
        a_request("b", phase="writing", worker="w", completion_tokens=9, tokens_per_second=4.0, attempts=2, resumed=1),
        a_request("c", status=502, error="engine_error"),
        a_request("d", status=200),
    ]
    rows = View().told(a_state(requests=requests)).requests()
    assert all(len(row.cells) == len(REQUESTS) for row in rows)
    assert [row.cells[2] for row in rows] == ["queued, 3.", "writing", "502 engine_error", "200"]
    assert rows[0].cells[:2] == ("456789abcdef", "m")
    assert rows[1].cells[3:] == ("w", "9", "4.0", "2", "1", "1.2")


def test_only_rows_with_the_words_are_shown() -> None:
    """In whatever column, and whatever the case."""
    view = View().told(a_state(requests=[a_request("a", model="Qwen"), a_request("b", model="llama")]))
    assert [row.key for row in replace(view, words="qWEN").requests()] == ["a"]
    assert len(replace(view, words="").requests()) == 2


@pytest.mark.parametrize(
    ("values", "width", "shown"),
    [([], 5, ""), ([0, 0], 5, "▁▁"), ([0, 1, 2, 4], 5, "▁▃▅█"), ([9, 9, 1, 2], 2, "▅█"), ([1.0], 0, "")],
)
def test_a_sparkline_is_bars_up_to_the_largest(values: list[float], width: int, shown: str) -> None:
    """The latest of them, as many as there is room for."""
    assert sparkline(values, width) == shown


@pytest.mark.parametrize("width", [10, 40, 80, 200])
def test_rates_fit_the_screen(width: int) -> None:
    """A line for each, with what it is now as a number."""
    view = View().sampled(a_sample(tokens_per_second=number, running=2, waiting=1) for number in range(500))
    assert len(view.samples) == 150
    lines = view.sparks(width)
    assert all(len(line) <= width for line in lines)
    assert [line[:8].strip() for line in lines] == ["tokens/s", "requests", "running"]
    if width >= 80:
        assert "499" in lines[0]
        assert "1 wait" in lines[2]
    assert len(view.sampled([a_sample()], anew=True).samples) == 1


def test_nothing_is_shown_of_nothing() -> None:
    """Before the first state there are no rows, and lines without bars."""
    assert (View().nodes(), View().models(), View().requests()) == ([], [], [])
    assert all(line.endswith("-") for line in View().sparks(80))
