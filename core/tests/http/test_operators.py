from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from litestar import Request
from swarmgate.errors import Unauthorized
from swarmgate.http.door import Door
from swarmgate.http.operators import admit_operator

MakeDoor = Callable[..., Door]


def came(*, client: str = "127.0.0.1", port: int = 8080, **headers: str) -> Request[Any, Any, Any]:
    scope: dict[str, Any] = {
        "type": "http",
        "client": (client, 40000),
        "server": ("127.0.0.1", port),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    return Request(scope)  # type: ignore[arg-type]


@pytest.mark.parametrize("host", ["", "localhost:8080", "127.0.0.1:8080", "[::1]:8080", "LOCALHOST", "127.0.0.5"])
def test_without_keys_this_machine_may(make_door: MakeDoor, host: str) -> None:
    """By whatever name of its own it asks for it."""
    headers: dict[str, Any] = {"host": host} if host else {}
    admit_operator(make_door(), came(**headers), to="test")
    admit_operator(make_door(), came(client="::1", **headers), to="test")


@pytest.mark.parametrize(
    "request_",
    [
        came(client="10.0.0.5"),
        came(host="rebound.example:8080"),
        came(host="[2001:db8::1]:8080"),
        came(port=9),
        came(host="localhost:8080", origin="https://evil.example"),
        came(host="localhost:8080", origin="http://localhost:3000"),
        came(host="localhost:8080", origin="null"),
    ],
    ids=[
        "another machine",
        "a page under its own name",
        "another address",
        "a member through the swarm",
        "a page from elsewhere",
        "another server's page",
        "a page from nowhere",
    ],
)
def test_without_keys_nobody_else_may(make_door: MakeDoor, request_: Request[Any, Any, Any]) -> None:
    """Neither from elsewhere, nor a page in a browser here, nor members whose way ends on this machine."""
    door = make_door()
    door.member_ports = frozenset({9})
    with pytest.raises(Unauthorized, match="without API keys only this machine itself may test; set api_keys"):
        admit_operator(door, request_, to="test")


def test_the_gateway_s_own_page_may(make_door: MakeDoor) -> None:
    """A browser says whose page sends a request: ours is where the request goes."""
    admit_operator(make_door(), came(host="localhost:8080", origin="http://localhost:8080"), to="test")


def test_with_keys_only_a_key_counts(make_door: MakeDoor) -> None:
    """From wherever; neither being on this machine nor a member's credential is one."""
    door = make_door(api_keys=("k",))
    door.member_ports = frozenset({9})
    for request in (came(), came(authorization="Bearer sgm_abc"), came(client="10.0.0.5", authorization="Bearer x")):
        with pytest.raises(Unauthorized):
            admit_operator(door, request, to="test")
    admit_operator(door, came(client="10.0.0.5", authorization="Bearer k", host="gw.example"), to="test")
    admit_operator(door, came(port=9, authorization="Bearer k"), to="test")
