from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from swarmgate.chat import Usage
from swarmgate.decisions import Account
from swarmgate.http.history import Sample
from swarmgate.http.wire.swarm import swarm_document
from swarmgate.http.wire.watching import hello_document, named_event, watched
from swarmgate.nouns import Health, Node, NodeId
from swarmgate.roster import Answering, Swarm

AT = datetime(2026, 1, 2, tzinfo=UTC)
SAMPLE = Sample(
    at=AT,
    tokens_per_second=12.345,
    requests_per_second=0.5,
    failures_per_second=0.0,
    first_seconds=None,
    running=1,
    waiting=0,
    ready=2,
)


def test_who_begins_learns_the_lines_so_far() -> None:
    """And whether it may look after the gateway, or why not; where no answer came there is no time to one."""
    told = msgspec.to_builtins(hello_document([SAMPLE]))
    (sample,) = told["samples"]
    assert (told["operator"], told["sample_seconds"], "refusal" in told) == (True, 2.0, False)
    assert (sample["tokens_per_second"], sample["ready"], "first_piece_seconds" in sample) == (12.3, 2, False)
    refused = hello_document([], "only this machine may")
    assert (refused.operator, refused.refusal) == (False, "only this machine may")


def test_the_state_has_the_requests() -> None:
    """What is at /v1/swarm, with rates, and the requests in short."""
    node = Answering(backend="b", health=Health(ready=True), slots=4)
    swarm = swarm_document(Swarm(node=Node(id=NodeId("n"), name="home"), nodes=(node,)), [], "1", {"b": 2.04})
    account = Account(
        id="r", path="/v1/chat/completions", at=AT, usage=Usage(completion_tokens=11), writing_seconds=2.0
    )
    told = msgspec.to_builtins(watched(swarm, [account]))
    assert (told["gateway"]["name"], told["nodes"][0]["tokens_per_second"], told["nodes"][0]["slots"]) == (
        "home",
        2.0,
        4,
    )
    (request,) = told["requests"]
    assert (request["phase"], request["completion_tokens"], request["tokens_per_second"]) == ("writing", 11, 5.0)


def test_events_have_names_and_numbers() -> None:
    """As the standard on server-sent events has them."""
    assert named_event("swarm", 7, b"{}") == b"event: swarm\nid: 7\ndata: {}\n\n"
