from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from swarmgate.http.app import application
from swarmgate.http.door import Door
from swarmgate.swarm.membership import invite
from swarmgate.swarm.token import Token
from visitor import Visitor

MakeDoor = Callable[..., Door]
pytestmark = pytest.mark.anyio
TOKEN = Token(bytes(32))


async def visit(door: Door, path: str = "/p2p/token", method: str = "GET", **headers: str) -> Visitor:
    return await Visitor(path=path, method=method, headers=headers).visit(application(door))


@pytest.mark.parametrize("path", ["/p2p/token", "/api/p2p/token"])
async def test_the_token_is_text(make_door: MakeDoor, path: str) -> None:
    """LocalAI's shape, at both of its paths; nothing on the way shall keep it."""
    door = make_door()
    door.ticket = TOKEN
    found = await visit(door, path)
    assert (found.status, found.content.decode()) == (200, TOKEN.text)
    head = dict(found.messages[0]["headers"])
    assert head[b"content-type"] == b"text/plain; charset=utf-8"
    assert head[b"cache-control"] == b"no-store"


async def test_strangers_do_not_see_it(make_door: MakeDoor) -> None:
    """With keys a key is asked for; a page under another name is refused, and neither answer has anything of it."""
    door = make_door(api_keys=("k",))
    door.ticket = TOKEN
    refused = [await visit(door), await visit(door, authorization="Bearer x")]
    assert (await visit(door, authorization="Bearer k")).content.decode() == TOKEN.text
    door = make_door()
    door.ticket = TOKEN
    refused.append(await visit(door, host="rebound.example"))
    for found in refused:
        assert found.status == 401
        assert TOKEN.text[4:16] not in found.content.decode()


async def test_without_a_token_there_is_nothing_to_see(make_door: MakeDoor) -> None:
    """Outside of a swarm, and with an invite, which is for one machine and not to be passed on."""
    door = make_door()
    found = await visit(door)
    assert (found.status, "this gateway is in no swarm; start it with --p2p" in found.content.decode()) == (404, True)
    door.ticket = invite(TOKEN, "node", days=1, key=bytes(32), now=time.time())
    found = await visit(door)
    assert (found.status, "it has no token to give away" in found.content.decode()) == (404, True)
    assert "sgi_" not in found.content.decode()
