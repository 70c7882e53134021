"""A model split over this machine and two workers: the same text, seen by everybody, for one gateway at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from listeners import chat, listen_to_all, same_whole
from live_gateway import live_gateway
from split_swarm import SplitSwarm, split_swarm
from swarmgate_backend_llamacpp.bundled import find_model
from tinygguf import write_llama

pytestmark = [pytest.mark.engine, pytest.mark.journey]


@pytest.fixture(scope="module")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SplitSwarm]:
    """Run the real model over this machine and two workers."""
    with split_swarm(tmp_path_factory.mktemp("split"), find_model(None)) as running:
        yield running


def test_the_split_writes_what_one_machine_would(swarm: SplitSwarm, tmp_path: Path) -> None:
    """Greedy and seeded, alone and in company, text and usage are those of a gateway that splits nothing."""
    bodies = [chat(number, tokens=24) for number in range(4)]
    with live_gateway(
        tmp_path, [{"use": "llamacpp", "model": str(find_model(None)), "name": "m", "threads": 1, "slots": 4}]
    ) as whole:
        expected = asyncio.run(listen_to_all(whole.url, bodies))
    same_whole(asyncio.run(listen_to_all(swarm.gateway.url, bodies)), expected)


def test_everybody_sees_who_holds_what(swarm: SplitSwarm) -> None:
    """``/v1/swarm`` and ``/v1/models`` agree: layers follow one another, bytes add up, each worker is named."""
    model = swarm.model()
    places = model["places"]
    assert places[0]["place"] == "here"
    assert {place["place"] for place in places[1:]} == {worker.address for worker in swarm.workers.values()}
    layers = [(place["first_layer"], place["last_layer"]) for place in places if place["first_layer"] is not None]
    assert layers[0][0] == 0
    assert all(after[0] == before[1] + 1 for before, after in pairwise(layers))
    assert layers[-1][1] == 29
    assert [place["output"] for place in places] == [False, False, True]
    assert all(place["weight_bytes"] > 0 for place in places)
    # three machines that are one have about the same memory each
    assert all(0.2 < place["share"] < 0.5 for place in places)
    (document,) = swarm.gateway.get("/v1/models")["data"]
    assert [place["place"] for place in document["meta"]["places"]] == [place["place"] for place in places]
    for name in swarm.workers:
        member = swarm.member(name)
        assert (member["state"], member["model"]) == ("usable", "m")
        assert member["rpc_version"] == "7.0.0"


def test_a_second_gateway_is_told_who_has_the_workers(swarm: SplitSwarm, tmp_path: Path) -> None:
    """It is refused at once, with the holder's name, and serves its other model meanwhile."""
    tiny = {"use": "llamacpp", "model": str(write_llama(tmp_path / "t.gguf")), "name": "t", "threads": 1}
    backends = [{**tiny, "name": "s", "placement": "split"}, {**tiny, "placement": "local"}]
    addresses = [worker.address for worker in swarm.workers.values()]
    with live_gateway(tmp_path, backends, workers=addresses, wait=False, name="second") as second:
        other = SplitSwarm(second, tmp_path, dict(swarm.workers))

        def told() -> bool:
            seen = second.get("/v1/swarm")
            ready = {model["name"]: model["ready"] for model in seen["models"]}
            waits = any("lent to" in model.get("waiting", "") for model in seen["models"])
            leased = all(each.get("leased_by") for each in seen["workers"])
            return ready == {"s": False, "t": True} and leased and waits

        other.until(told)
        holder = swarm.gateway.get("/v1/swarm")["gateway"]["name"]
        seen = second.get("/v1/swarm")
        assert all(holder in member["leased_by"] for member in seen["workers"])
        waiting = next(model["waiting"] for model in seen["models"] if model["name"] == "s")
        assert all(f"{address} (lent to {holder!r})" in waiting for address in addresses)
        (heard,) = asyncio.run(listen_to_all(second.url, [chat(1, model="t", tokens=8)]))
        assert heard.whole
    assert swarm.model()["ready"]
