from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from swarmgate.echo import EchoBackend
from swarmgate.http.app import application
from swarmgate.http.door import Door
from swarmgate.http.kept import Kept
from swarmgate.http.openapi import openapi_document
from swarmgate.swarm.token import Token
from visitor import Visitor

MakeDoor = Callable[..., Door]
#: What there is under the paths with names in them.
NAMED = {"name": "echo", "id": "mine", "response_id": "kept", "file": "index.html"}


def references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_every_reference_leads_somewhere() -> None:
    """Nothing in the document points to what is not in it."""
    document: dict[str, Any] = openapi_document("1", keys=True)
    found = set(references(document))
    assert found
    for reference in found:
        node: Any = document
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]
        assert node


def test_keys_are_asked_for_only_where_they_are() -> None:
    """The document demands a key exactly where the gateway does."""
    paths = openapi_document("1", keys=True)["paths"]
    asked = {path for path, item in paths.items() if any("security" in operation for operation in item.values())}
    assert set(paths) - asked == {"/healthz", "/livez", "/readyz", "/", "/swarm", "/page/{file}"}
    assert not any(
        "security" in operation
        for item in openapi_document("1", keys=False)["paths"].values()
        for operation in item.values()
    )


@pytest.mark.anyio
async def test_all_that_is_served_is_described(make_door: MakeDoor) -> None:
    """Each described operation is there, and each route is described."""
    door = make_door(EchoBackend())
    door.ticket = Token.make()
    app = application(door)
    visitor = await Visitor(path="/schema/openapi.json", method="GET").visit(app)
    await Visitor(headers={"X-Request-ID": "mine"}, body=[b"{}"]).visit(app)
    for path, item in visitor.json["paths"].items():
        for method in item if path != "/v1/swarm/events" else ():  # which would go on for ever
            door.responses.keep(Kept("kept", "", b"{}", given=(), written=()))
            asked = re.sub(r"\{(\w+)\}", lambda found: NAMED[found[1]], path)
            found = await Visitor(path=asked, method=method.upper(), body=[b"{}"]).visit(app)
            assert str(found.status) in item[method]["responses"]
            assert found.status in {200, 400}
