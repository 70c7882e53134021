from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import msgspec
import pytest
from swarmgate.echo import EchoBackend, EchoOptions
from swarmgate.http.app import application
from swarmgate.http.door import Door
from swarmgate.http.records import Records
from visitor import Visitor

pytestmark = pytest.mark.anyio
MakeDoor = Callable[..., Door]


async def ask(door: Door, name: str, text: str = "very secret", **fields: Any) -> Visitor:
    body = msgspec.json.encode({"messages": [{"role": "user", "content": text}], **fields})
    return await Visitor(body=[body], headers={"X-Request-ID": name}).visit(application(door))


async def get(door: Door, name: str = "", query: str = "", key: str = "") -> Visitor:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    path = f"/v1/requests/{name}" if name else "/v1/requests"
    return await Visitor(path=path, method="GET", query=query, headers=headers).visit(application(door))


async def test_a_request_is_explained(make_door: MakeDoor) -> None:
    """What became of it, each decision with every place, and nothing of what was said; ids may have slashes."""
    door = make_door(EchoBackend(), EchoBackend(EchoOptions(load_seconds=60)))
    await ask(door, "a/b:c")
    visitor = await get(door, "a/b:c")
    told = visitor.json
    assert (told["id"], told["model"], told["route"]) == ("a/b:c", "echo", "/v1/chat/completions")
    assert (told["status"], told["attempts"], told["resumed"], told["worker"]) == (200, 1, 0, "b0")
    assert (told["prompt_tokens"], told["completion_tokens"]) == (11, 11)
    (decision,) = told["decisions"]
    assert (decision["answer"], decision["chosen"], decision["reason"]) == (0, "b0", "only candidate")
    assert decision["places"] == [
        {"place": "b0", "chosen": True},
        {"place": "b1", "chosen": False, "hindrance": "not ready"},
    ]
    assert b"secret" not in visitor.content


async def test_a_running_request_is_told_of(make_door: MakeDoor) -> None:
    """It has no status yet."""
    door = make_door(EchoBackend(EchoOptions(delay_seconds=30)))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, door, "slow")
        with anyio.fail_after(5):
            while not (await get(door)).json["data"]:  # noqa: ASYNC110 -- seen from outside, there is nothing to wait on
                await anyio.sleep(0.01)
        assert (await get(door, "slow")).json["status"] is None
        tasks.cancel_scope.cancel()
    assert (await get(door, "slow")).json["status"] == 499


async def test_refusals_are_told_of(make_door: MakeDoor) -> None:
    """Also what came to no decision: the code that the client was told."""
    door = make_door(EchoBackend())
    await ask(door, "other", model="nothing")
    told = (await get(door, "other")).json
    assert (told["status"], told["error"], told["decisions"]) == (404, "model_not_found", [])


async def test_the_latest_are_listed(make_door: MakeDoor) -> None:
    """In short, the newest first, as many as are asked for; looking is not listed itself."""
    door = make_door(EchoBackend())
    for name in ("a", "b", "c"):
        await ask(door, name)
    listed = (await get(door)).json
    assert ([each["id"] for each in listed["data"]], listed["kept"]) == (["c", "b", "a"], 1000)
    assert "decisions" not in listed["data"][0]
    assert [each["id"] for each in (await get(door, query="limit=1")).json["data"]] == ["c"]


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "", "99999"])
async def test_limits_are_numbers(make_door: MakeDoor, limit: str) -> None:
    """What is none, or too much, is refused by name."""
    visitor = await get(make_door(EchoBackend()), query=f"limit={limit}")
    assert (visitor.status, visitor.json["error"]["param"]) == (400, "limit")


async def test_an_unknown_request_is_404_with_the_remedy(make_door: MakeDoor) -> None:
    """The error says how many are kept and what to set for more, or for any."""
    door = make_door(EchoBackend())
    visitor = await get(door, "nothing")
    error = visitor.json["error"]
    assert (visitor.status, error["code"]) == (404, "request_not_found")
    assert "'nothing'" in error["message"]
    assert "the last 1000" in error["message"]
    door.records = Records(0)
    await ask(door, "a")
    visitor = await get(door, "a")
    assert visitor.status == 404
    assert "set kept_requests in [gateway] above 0" in visitor.json["error"]["message"]


async def test_any_key_may_ask_and_nobody_without(make_door: MakeDoor) -> None:
    """It is a tool for operators; and who is turned away at the door leaves no trace."""
    door = make_door(EchoBackend(), api_keys=("k1", "k2"))
    await ask(door, "stranger")
    assert (await get(door)).status == 401
    assert (await get(door, "stranger")).status == 401
    assert (await get(door, key="k2")).json["data"] == []
