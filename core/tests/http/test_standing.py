from __future__ import annotations

from collections.abc import Callable

import pytest
from swarmgate.echo import EchoBackend, EchoOptions
from swarmgate.http.app import application
from swarmgate.http.door import Door
from visitor import Visitor

pytestmark = pytest.mark.anyio
MakeDoor = Callable[..., Door]
_LOADING = EchoOptions(model="slow", load_seconds=1)


async def get(door: Door, path: str, query: str = "", method: str = "GET") -> Visitor:
    return await Visitor(path=path, method=method, query=query).visit(application(door))


@pytest.mark.parametrize("path", ["/healthz", "/livez"])
async def test_the_process_lives_while_models_load(make_door: MakeDoor, path: str) -> None:
    """Liveness does not depend on any model."""
    visitor = await get(make_door(EchoBackend(_LOADING)), path)
    assert visitor.status == 200
    assert visitor.json == {"status": "ok"}


async def test_readiness_names_what_fails(make_door: MakeDoor) -> None:
    """One model that is not ready makes the gateway not ready; the other can be asked for alone."""
    door = make_door(EchoBackend(), EchoBackend(_LOADING))
    visitor = await get(door, "/readyz")
    assert visitor.status == 503
    assert visitor.json["checks"]["model:echo"]["ready"]
    failing = visitor.json["checks"]["model:slow"]
    assert not failing["ready"]
    assert "loading" in failing["reason"]
    assert (await get(door, "/readyz", "model=echo")).status == 200
    assert (await get(door, "/readyz", "model=slow")).status == 503
    assert (await get(door, "/readyz", "model=none")).status == 404


async def test_a_closing_gateway_is_not_ready(make_door: MakeDoor) -> None:
    """From the moment it is told to stop, the gateway takes itself out."""
    door = make_door(EchoBackend())
    assert (await get(door, "/readyz")).status == 200
    door.closing = True
    visitor = await get(door, "/readyz")
    assert visitor.status == 503
    assert visitor.json["checks"]["gateway"]["reason"] == "shutting down"


async def test_a_gateway_without_models_is_not_ready(make_door: MakeDoor) -> None:
    """Nothing to serve is no readiness."""
    visitor = await get(make_door(), "/readyz")
    assert visitor.status == 503
    assert visitor.json["checks"]["models"]["reason"] == "no model is served"


async def test_llama_servers_health(make_door: MakeDoor) -> None:
    """/health says what llama-server says, so that its scripts work here."""
    assert (await get(make_door(EchoBackend()), "/health")).json == {"status": "ok"}
    visitor = await get(make_door(EchoBackend(_LOADING)), "/health")
    assert visitor.status == 503
    assert visitor.json == {"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}}


async def test_version_and_metrics(make_door: MakeDoor) -> None:
    """What runs, and its numbers in Prometheus' format, those of the process included."""
    door = make_door(EchoBackend())
    assert (await get(door, "/version")).json == {"version": "1.2.3", "name": "swarmgate"}
    visitor = await get(door, "/metrics")
    assert visitor.answered["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    text = visitor.content.decode()
    for line in (
        'gateway_build_info{version="1.2.3"} 1.0',
        "gateway_inflight_requests 1.0",
        'gateway_queue_depth{model="echo"} 0.0',
        'gateway_model_ready{model="echo"} 1.0',
        'gateway_worker_slots{model="echo",state="free"} 4.0',
        'gateway_requests_total{code="200",model="",route="/version"} 1.0',
        "process_resident_memory_bytes",
    ):
        assert line in text


async def test_the_shadows_agreement_is_scraped(make_door: MakeDoor) -> None:
    """Both counts are there from the start, and read anew at each scrape."""
    door, counts = make_door(EchoBackend()), {True: 0, False: 0}
    door.metrics.watch_shadow(counts)
    counts[False] = 3
    text = (await get(door, "/metrics")).content.decode()
    assert 'gateway_balancer_shadow_total{agrees="true"} 0.0' in text
    assert 'gateway_balancer_shadow_total{agrees="false"} 3.0' in text
