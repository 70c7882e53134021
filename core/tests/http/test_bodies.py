from __future__ import annotations

from collections.abc import Callable

import pytest
from swarmgate.echo import EchoBackend
from swarmgate.http.app import application
from swarmgate.http.door import Door
from visitor import Visitor

pytestmark = pytest.mark.anyio
MakeDoor = Callable[..., Door]


async def visit(make_door: MakeDoor, *body: bytes, **headers: str) -> Visitor:
    app = application(make_door(EchoBackend(), max_body_bytes=100))
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await Visitor(body=body, headers=named).visit(app)


async def test_a_declared_length_is_refused_unread(make_door: MakeDoor) -> None:
    """A body that says it is too long is not read at all."""
    visitor = await visit(make_door, b"x", content_length="101")
    assert visitor.status == 413
    assert visitor.unread == 1
    assert "at most 100 bytes, found 101" in visitor.json["error"]["message"]


async def test_chunks_are_counted(make_door: MakeDoor) -> None:
    """A body without a length is read no further than the limit."""
    visitor = await visit(make_door, *[b" " * 40] * 5)
    assert visitor.status == 413
    assert visitor.unread == 2


async def test_the_limit_itself_is_fine(make_door: MakeDoor) -> None:
    """A body of exactly the limit is read."""
    body = b'{"messages":[{"role":"user","content":"hi"}]}'.ljust(100)
    assert (await visit(make_door, body[:50], body[50:], content_length="100")).status == 200


async def test_compressed_bodies_are_refused(make_door: MakeDoor) -> None:
    """What cannot be read is refused by its name, not taken for bad JSON."""
    visitor = await visit(make_door, b"x", content_encoding="gzip")
    assert visitor.status == 415
    assert "'gzip'" in visitor.json["error"]["message"]


async def test_half_a_body_gets_no_answer(make_door: MakeDoor) -> None:
    """A client that goes in the middle of its request is not answered, and nothing is logged as failed."""
    visitor = Visitor(body=[])
    visitor.hang_up()
    await visitor.visit(application(make_door(EchoBackend())))
    assert visitor.messages == []
