"""Many gateways behind one: who answers, what is listed, what is freed, and what bad nodes spoil (nothing)."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest
from fleet import Fleet, a_fleet, standing
from live_gateway import LiveGateway, free_port, launch, until_ready
from misbehaving import (
    Conduct,
    Node,
    a_node,
    break_off,
    busy,
    end_early,
    fail_after_two,
    fail_fast,
    garbage,
    half_a_character,
    hang,
    no_done,
    no_http,
    trickle,
    well,
)

pytestmark = pytest.mark.journey

_LONG = " ".join(f"word{number}" for number in range(200))
_SLOW = {"use": "echo", "model": "slow", "delay_seconds": 0.05, "slots": 2}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Generator[Fleet]:
    """Run two nodes that have a model in common, and each one of its own."""
    one = [{"use": "echo"}, {"use": "echo", "model": "alone-0"}, _SLOW]
    two = [{"use": "echo"}, {"use": "echo", "model": "alone-1", "aliases": ["nickname"]}]
    with a_fleet(tmp_path_factory.mktemp("fleet"), one, two, queue_seconds=1.0) as fleet:
        yield fleet


def ask(url: str, model: str, text: str = "hello there", headers: dict[str, str] | None = None) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": text}]}
    return httpx.post(f"{url}/v1/chat/completions", json=body, headers=headers, timeout=30)


def stream(url: str, model: str, text: str) -> tuple[int, list[str]]:
    """Return the status and the data of all events."""
    body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": True}
    with httpx.stream("POST", f"{url}/v1/chat/completions", json=body, timeout=30) as response:
        data = [line.removeprefix("data: ") for line in response.iter_lines() if line.startswith("data: ")]
    return response.status_code, data


def text_of(events: list[str]) -> str:
    choices = [choice for data in events if data != "[DONE]" for choice in json.loads(data).get("choices", ())]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def in_flight(gateway: LiveGateway) -> int:
    found = re.search(r"^gateway_inflight_requests (\d+)", httpx.get(f"{gateway.url}/metrics").text, re.MULTILINE)
    assert found
    return int(found[1])


def code_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def test_the_union_is_served(fleet: Fleet) -> None:
    """Every model of every node is listed, with the number of nodes that have it, and answered, also by its alias."""
    listed = {entry["id"]: entry["meta"] for entry in httpx.get(f"{fleet.hub.url}/v1/models").json()["data"]}
    assert {name: meta["replicas"] for name, meta in listed.items()} == {
        "alone-0": 1,
        "alone-1": 1,
        "echo": 2,
        "slow": 1,
    }
    assert listed["echo"]["slots"] == 8
    for model, worker in (("alone-0", "node-0"), ("alone-1", "node-1"), ("nickname", "node-1")):
        answer = ask(fleet.hub.url, model)
        assert answer.json()["choices"][0]["message"]["content"] == "hello there"
        assert (answer.json()["model"], answer.headers["x-gateway-worker"]) == (model, worker)


def test_each_request_goes_its_own_way(fleet: Fleet) -> None:
    """One connection's requests go to both nodes."""
    with httpx.Client(base_url=fleet.hub.url) as client:
        body = {"model": "echo", "prompt": "hi"}
        workers = {client.post("/v1/completions", json=body).headers["x-gateway-worker"] for _ in range(12)}
    assert workers == {"node-0", "node-1"}


def test_everything_else_is_passed_on_too(fleet: Fleet) -> None:
    """Vectors, tokens and text come from the nodes as they are there."""
    for path, body in (
        ("/v1/embeddings", {"model": "alone-1", "input": ["a", "b"]}),
        ("/tokenize", {"model": "alone-1", "content": "hé", "with_pieces": True}),
        ("/detokenize", {"model": "alone-1", "tokens": [104, 105]}),
    ):
        there = httpx.post(f"{fleet.nodes[1].url}{path}", json=body).json()
        assert httpx.post(f"{fleet.hub.url}{path}", json=body).json() == there


def test_a_fault_of_the_request_is_nobodys_failure(fleet: Fleet) -> None:
    """What a node refuses comes back as its refusal, with the field, and after one try."""
    body = {"model": "echo", "messages": [{"role": "user", "content": "x" * 20000}]}
    answer = httpx.post(f"{fleet.hub.url}/v1/chat/completions", json=body)
    assert code_of(answer) == (400, "context_length_exceeded")
    assert "16384" in answer.json()["error"]["message"]


def test_hanging_up_frees_the_slot_through_two_hops(fleet: Fleet) -> None:
    """A client of a gateway before the hub hangs up, and the node has nothing to do any more, at once."""
    top = fleet.front("top", [fleet.hub.url])
    body = {"model": "slow", "messages": [{"role": "user", "content": _LONG}], "stream": True}
    with httpx.stream("POST", f"{top.url}/v1/chat/completions", json=body, timeout=30) as response:
        assert response.headers["x-gateway-worker"] == "hub"
        lines = response.iter_lines()
        while "word" not in next(lines):
            pass
        assert [in_flight(gateway) for gateway in (top, fleet.hub, fleet.nodes[0])] == [
            2,
            2,
            2,
        ]  # and the asking itself
    began = time.monotonic()
    while in_flight(fleet.nodes[0]) > 1:
        assert time.monotonic() - began < 2
        time.sleep(0.01)
    assert [in_flight(gateway) for gateway in (top, fleet.hub)] == [1, 1]


def test_circles_are_refused(fleet: Fleet, tmp_path: Path) -> None:
    """Two gateways that have each other for nodes do not take their own models for the other's."""
    ports = free_port(), free_port()
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    one = launch(tmp_path / "one", [{"use": "echo"}], arguments=("run", "--node", urls[1]), port=ports[0], name="one")
    two = launch(tmp_path / "two", (), arguments=("federated", "--node", urls[0]), port=ports[1], name="two")
    fleet.others += [one, two]
    until_ready(one, 120)
    until_ready(two, 120)
    assert ask(two.url, "echo").headers["x-gateway-worker"] == "one"
    assert ask(one.url, "echo").headers["x-gateway-worker"] == "echo"
    assert httpx.get(f"{one.url}/v1/models").json()["data"][0]["meta"]["replicas"] == 1
    identity = httpx.get(f"{one.url}/v1/models").json()["gateway"]["id"]
    answer = ask(one.url, "echo", headers={"X-Gateway-Hops": "1", "X-Gateway-Path": identity})
    assert code_of(answer) == (508, "loop_detected")
    assert identity in answer.json()["error"]["message"]
    assert code_of(ask(one.url, "echo", headers={"X-Gateway-Hops": "5"})) == (508, "loop_detected")


def test_nobodys_model_is_unknown_at_once_and_a_lost_one_is_waited_for(fleet: Fleet) -> None:
    """404 without waiting; 503 with Retry-After once the queue's time is over; and an answer if the node comes back."""
    began = time.monotonic()
    assert code_of(ask(fleet.hub.url, "nothing")) == (404, "model_not_found")
    assert time.monotonic() - began < 0.5
    fleet.kill(1)
    began = time.monotonic()
    answer = ask(fleet.hub.url, "alone-1")
    assert code_of(answer) in {(503, "model_loading"), (503, "no_candidate")}
    assert int(answer.headers["retry-after"]) >= 1
    assert 0.8 < time.monotonic() - began < 5
    assert "connection refused" in answer.json()["error"]["message"]
    assert ask(fleet.hub.url, "echo").headers["x-gateway-worker"] == "node-0"
    fleet.start(1)
    fleet.until_slots(4, "alone-1")
    assert ask(fleet.hub.url, "alone-1").status_code == 200


def test_nodes_come_from_a_variable_and_from_the_ledger(fleet: Fleet, tmp_path: Path) -> None:
    """GATEWAY_NODES for a gateway without models; a discovery's list for one that has some and is federated."""
    urls = ",".join(node.url for node in fleet.nodes)
    bare = launch(tmp_path / "bare", (), arguments=("federated",), environ={"GATEWAY_NODES": urls})
    listed = ("[[discovery]]", {"use": "static", "nodes": [node.url.removeprefix("http://") for node in fleet.nodes]})
    own = [{"use": "echo", "model": "own"}]
    both = launch(tmp_path / "both", own, arguments=("run", "--federated"), tables=[listed], settle_seconds=0.1)
    fleet.others += [bare, both]
    until_ready(bare, 120)
    until_ready(both, 120)
    assert standing(bare.url).keys() == {"echo", "alone-0", "alone-1", "slow"}
    until = time.monotonic() + 20
    while len(standing(both.url)) < 5:
        assert time.monotonic() < until, both.said()
        time.sleep(0.05)
    assert ask(both.url, "own").headers["x-gateway-worker"] == "echo"
    assert ask(both.url, "alone-1").headers["x-gateway-worker"] == "node-1"


def test_a_node_with_keys_is_shown_one(fleet: Fleet, tmp_path: Path) -> None:
    """From a file; without it the reason names the option, and the key stands in no log."""
    locked = launch(tmp_path / "locked", [{"use": "echo", "model": "m"}], name="locked", api_keys=["sesame"])
    fleet.others.append(locked)
    until_ready(locked, 120)
    (tmp_path / "key").write_text("sesame\n")
    inside = fleet.front("inside", [locked.url], peer_api_key_file=str(tmp_path / "key"))
    outside = fleet.front("outside", [locked.url])
    assert ask(inside.url, "m").headers["x-gateway-worker"] == "locked"
    assert code_of(ask(outside.url, "m")) == (404, "model_not_found")
    assert "api_key_file" in outside.said()
    assert "sesame" not in inside.said() + outside.said()


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Node, LiveGateway]]:
    """Run a node whose conduct changes, a good one beside it, and a hub that asks the bad one first."""
    folder = tmp_path_factory.mktemp("bad")
    with a_node(well) as node, a_fleet(folder, [{"use": "echo", "model": "m"}]) as fleet:
        backends = [
            {"use": "openai", "url": node.url, "name": "bad", "first_seconds": 0.5, "refresh_seconds": 0.2},
            {"use": "openai", "url": fleet.nodes[0].url},
        ]
        table = ("[balancer]", {"use": "first_free"})
        # without a breaker, so that it is asked again however often it has failed
        hub = launch(folder / "front", backends, arguments=("federated",), tables=[table], breaker_failures=0)
        fleet.others.append(hub)
        until_ready(hub, 120)
        yield node, hub


@pytest.mark.parametrize("conduct", [fail_fast, busy, hang, no_http, garbage])
def test_a_node_that_fails_before_its_first_word_is_not_noticed(
    bad: tuple[Node, LiveGateway], conduct: Conduct
) -> None:
    """Whatever it does, somebody else answers."""
    node, hub = bad
    node.conduct, asked = conduct, node.asked
    status, events = stream(hub.url, "m", "one two three")
    assert (status, text_of(events), events[-1]) == (200, "one two three", "[DONE]")
    assert node.asked > asked


@pytest.mark.parametrize("conduct", [fail_after_two, break_off, half_a_character, end_early])
def test_a_node_that_fails_later_ends_in_an_error(bad: tuple[Node, LiveGateway], conduct: Conduct) -> None:
    """Text without tokens cannot be gone on with: the stream says so, and does not just stop."""
    node, hub = bad
    node.conduct = conduct
    _wait_for_slots(hub, 12)
    status, events = stream(hub.url, "m", "one two three")
    assert status == 200
    assert text_of(events).startswith("one ")
    assert json.loads(events[-1])["error"]["code"] == "engine_error"


@pytest.mark.parametrize(("conduct", "text"), [(trickle, "one two thrée four"), (no_done, "one two ")])
def test_a_node_that_is_only_odd_is_understood(bad: tuple[Node, LiveGateway], conduct: Conduct, text: str) -> None:
    """Bytes in any portions, and an end without [DONE], make a good stream."""
    node, hub = bad
    node.conduct = conduct
    _wait_for_slots(hub, 12)
    _, events = stream(hub.url, "m", "one two three")
    assert (text_of(events), events[-1]) == (text, "[DONE]")


def test_a_black_hole_does_not_disturb_the_others(bad: tuple[Node, LiveGateway]) -> None:
    """While it swallows requests, all of them are answered all the same."""
    node, hub = bad
    node.conduct = hang
    answers: list[str] = []

    def one() -> None:
        answers.append(text_of(stream(hub.url, "m", "one two three")[1]))

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["one two three"] * 8


def _wait_for_slots(hub: LiveGateway, count: int) -> None:
    until = time.monotonic() + 20
    while standing(hub.url)["m"] < count:
        assert time.monotonic() < until, hub.said()
        time.sleep(0.02)
