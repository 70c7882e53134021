from __future__ import annotations

import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from misbehaving import Node, a_node, read_request, send_document, serving, well
from swarmgate.api import Finding, NodeId, Patient
from swarmgate.testing import a_context
from swarmgate.testing import a_node as a_named_node
from swarmgate.testing.streams import a_closed_port
from swarmgate_backend_openai import OpenAIOptions
from swarmgate_backend_openai.checkup import SERVERS, seen

pytestmark = pytest.mark.anyio
ME = a_named_node("me")


async def look(url: str, **options: Any) -> Finding:
    return await seen(OpenAIOptions(url=url, look_seconds=5, **options), ME)


class Locked(Node):
    """A server that wants the key ``sesame``, also to be asked for its models."""

    def process_request(self, request: Any, client_address: Any) -> None:
        _, headers, _ = read_request(request)
        if headers.get("authorization") == "Bearer sesame":
            send_document(request, {"object": "list", "data": [{"id": "m"}]})
        else:
            send_document(request, {"error": {"message": "no such key"}}, "401 Unauthorized")
        request.shutdown(socket.SHUT_WR)
        self.close_request(request)


@contextmanager
def locked() -> Generator[Node]:
    with serving(Locked(well, ())) as node:
        yield node


async def test_a_server_that_serves_something_is_well() -> None:
    """Its models are named, the first of them."""
    with a_node(well, *(f"m{number}" for number in range(7))) as node:
        found = await look(node.url)
    assert (found.level, found.about) == ("fine", node.url)
    assert found.what.endswith("with m0, m1, m2, m3, m4 and 2 more")


async def test_one_that_is_off_is_a_fault_with_its_reason() -> None:
    """Whether a gateway runs here or not: it is asked from here."""
    with a_closed_port() as nobody:
        found = await look(f"http://{nobody}")
    assert (found.level, found.code) == ("fault", "servers.not_reached")
    assert "connection refused" in found.what


async def test_a_wrong_key_is_told_from_silence() -> None:
    """What the server said is repeated, and where a key belongs; with the key it is well; a file must be there."""
    with locked() as node:
        found = await look(node.url)
        assert (found.level, found.code) == ("fault", "servers.refused")
        assert "no such key" in found.what
        assert "api_key_file" in found.remedy
        assert (await look(node.url, api_key="sesame")).level == "fine"
        assert (await look(node.url, api_key_file="/nowhere")).code == "servers.refused"


async def test_one_without_the_wanted_model_is_worth_a_word() -> None:
    """It may be about to load it."""
    with a_node(well, "m") as node:
        found = await look(node.url, models=("other",))
    assert (found.level, found.code) == ("note", "servers.no_model")
    assert found.what == "it has no model called 'other'"


async def test_a_gateway_is_not_to_ask_itself() -> None:
    """That would go round and round."""
    with a_node(well, "m") as node:
        node.gateway = {"id": ME.id, "name": "me"}
        assert (await look(node.url)).code == "servers.itself"
        node.gateway = {"id": NodeId("another"), "name": "shed"}
        assert "the gateway 'shed' answers after" in (await look(node.url)).what


async def test_all_that_are_listed_are_looked_at_in_order(tmp_path: Path) -> None:
    """At once, so that the silence of one costs nothing."""
    with a_node(well, "m") as node, a_closed_port() as nobody:
        urls = (f"http://{nobody}", node.url)
        patient = Patient(a_context(tmp_path), {"backend/openai": tuple(OpenAIOptions(url=url) for url in urls)})
        found = await SERVERS.examine(patient)
    assert [(each.about, each.level) for each in found] == [(urls[0], "fault"), (urls[1], "fine")]
