from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from swarmgate.assembly import Assembly, assemble
from swarmgate.builtin import swarmgate_backend, swarmgate_balancer, swarmgate_ledger
from swarmgate.config.choices import Blueprint, Choice
from swarmgate.config.settings import Settings
from swarmgate.contracts import Backend
from swarmgate.echo import EchoBackend, EchoOptions
from swarmgate.errors import EngineError
from swarmgate.http.app import application
from swarmgate.http.door import Door, Limits
from swarmgate.metrics import Metrics
from swarmgate.parts import BACKEND, BALANCER, LEDGER, NoOptions, Options, Part, PartContext
from swarmgate.roster import Swarm
from swarmgate.shelf import Shelf
from visitor import Visitor

pytestmark = pytest.mark.anyio

(MEMORY,), (FIRST_FREE,), (ECHO,) = swarmgate_ledger(), swarmgate_balancer(), swarmgate_backend()
HOUSE = (Choice(LEDGER, MEMORY, NoOptions()), Choice(BALANCER, FIRST_FREE, NoOptions()))


class FileOptions(Options, frozen=True):
    model: str
    name: str | None = None


@asynccontextmanager
async def opened(options: FileOptions, context: PartContext) -> AsyncGenerator[Backend]:
    path = Path(options.model)
    if "broken" in path.name:
        raise EngineError(f"{path.name!r} is no GGUF file")
    yield EchoBackend(EchoOptions(model=path.stem))


@asynccontextmanager
async def a_door(tmp_path: Path, *keys: str) -> AsyncGenerator[tuple[Door, Assembly]]:
    folder = tmp_path / "models"
    folder.mkdir()
    for name in ("new-Q4_K_M.gguf", "broken.gguf"):
        (folder / name).write_bytes(b"GGUF")
    settings = Settings(state_dir=str(tmp_path / "state"), name="test")
    choices = (*HOUSE, Choice(BACKEND, ECHO, EchoOptions(model="org/echo")))
    with anyio.fail_after(20):
        async with assemble(Blueprint(settings, choices)) as assembly:
            await assembly.wait_ready()
            assert assembly.hosting is not None
            door = Door(
                assembly.dispatcher,
                Metrics("0"),
                "0",
                Limits(api_keys=keys),
                assembly.node,
                lambda: Swarm(placed=assembly.placed()),
            )
            door.shelf = Shelf(assembly.hosting, folder, Part("files", "Made up.", FileOptions, opened))
            yield door, assembly


async def order(door: Door, path: str, body: dict[str, Any], **headers: str) -> tuple[int, Any]:
    visitor = Visitor(path, body=(msgspec.json.encode(body),), headers=headers)
    await visitor.visit(application(door))
    return visitor.status, visitor.json


async def get(door: Door, path: str, **headers: str) -> tuple[int, Any]:
    visitor = await Visitor(path, method="GET", headers=headers).visit(application(door))
    return visitor.status, visitor.json


def statuses(listed: Any) -> dict[str, Any]:
    return {model["id"]: model["status"]["value"] for model in listed["data"]}


async def test_a_model_is_unloaded_and_loaded(tmp_path: Path) -> None:
    """It stays listed, is not counted as missing, and whoever asks it is told what loads it."""
    async with a_door(tmp_path) as (door, _):
        told = await order(door, "/v1/models/unload", {"model": "org/echo"})
        assert told == (200, {"success": True, "models": ["org/echo"], "state": "unloaded"})
        assert statuses((await get(door, "/v1/models"))[1]) == {"org/echo": "unloaded"}
        (model,) = (await get(door, "/v1/swarm"))[1]["models"]
        assert (model["state"], model["ready"]) == ("unloaded", False)
        assert "gateway models load org/echo" in model["reason"]
        status, told = await order(door, "/v1/completions", {"model": "org/echo", "prompt": "x"})
        assert (status, told["error"]["code"]) == (503, "model_not_loaded")
        assert "`gateway models load org/echo` loads it" in told["error"]["message"]
        assert (await get(door, "/v1/models", **{"x-gateway-path": "another"}))[1]["data"] == []
        status, ready = await get(door, "/readyz")
        assert (status, ready["checks"]["models"]["reason"]) == (503, "no model is served")
        told = await order(door, "/v1/models/load", {"model": "org/echo"})
        assert told == (200, {"success": True, "models": ["org/echo"], "state": "loaded"})
        assert statuses((await get(door, "/v1/models"))[1]) == {"org/echo": "loaded"}
        assert (await get(door, "/readyz"))[0] == 200


async def test_a_file_is_loaded_at_run_time(tmp_path: Path) -> None:
    """And answers; a model that is unloaded beside it makes nothing less ready."""
    async with a_door(tmp_path) as (door, _):
        listed = (await get(door, "/models"))[1]
        assert statuses(listed) == {"org/echo": "loaded", "broken": "unloaded", "new-Q4_K_M": "unloaded"}
        assert listed["data"][2]["file"] == "new-Q4_K_M.gguf"
        assert (listed["data"][2]["meta"]["size"], listed["data"][2]["meta"]["quantization"]) == (4, "Q4_K_M")
        told = await order(door, "/v1/models/load", {"model": "new-Q4_K_M.gguf"})
        assert told == (200, {"success": True, "models": ["new-Q4_K_M"], "state": "loaded"})
        status, told = await order(door, "/v1/completions", {"model": "new-Q4_K_M", "prompt": "hello"})
        assert (status, told["choices"][0]["text"]) == (200, "hello")
        await order(door, "/v1/models/unload", {"model": "org/echo"})
        assert (await get(door, "/readyz"))[0] == 200
        assert statuses((await get(door, "/models"))[1]) == {
            "new-Q4_K_M": "loaded",
            "org/echo": "unloaded",
            "broken": "unloaded",
        }


async def test_failures_are_told(tmp_path: Path) -> None:
    """With their reason, and that it is no use to try again at once."""
    async with a_door(tmp_path) as (door, _):
        status, told = await order(door, "/v1/models/load", {"model": "broken"})
        assert (status, told["error"]["code"]) == (500, "model_load_failed")
        assert told["error"]["message"] == "'broken.gguf' is no GGUF file"
        for path in ("/v1/models/load", "/v1/models/unload"):
            status, told = await order(door, path, {"model": "../../etc/passwd"})
            assert (status, told["error"]["code"]) == (404, "model_not_found")
            status, told = await order(door, path, {"model": ""})
            assert (status, told["error"]["param"]) == (400, "model")
        status, told = await order(door, "/v1/models/unload", {"model": "org/echo", "forget": True})
        assert (status, told["error"]["code"]) == (409, "conflict")


async def test_llama_servers_words_do_not_wait(tmp_path: Path) -> None:
    """Unless they are told to; ours do unless they are told not to."""
    async with a_door(tmp_path) as (door, _):
        told = await order(door, "/models/unload", {"model": "org/echo"})
        assert told == (200, {"success": True, "models": ["org/echo"], "state": "unloading"})
        assert (await order(door, "/models/unload", {"model": "org/echo", "wait": True}))[1]["state"] == "unloaded"
        assert (await order(door, "/models/load", {"model": "org/echo"}))[0] == 200
        assert (await order(door, "/v1/models/load", {"model": "org/echo"}))[1]["state"] == "loaded"
        assert (await order(door, "/v1/models/unload", {"model": "org/echo", "wait": False}))[1]["state"] == "unloading"


async def test_strangers_may_not(tmp_path: Path) -> None:
    """With keys a key is asked for; nothing of the folder is told either."""
    async with a_door(tmp_path, "k") as (door, assembly):
        for path in ("/v1/models/load", "/v1/models/unload", "/models/load", "/models/unload"):
            assert (await order(door, path, {"model": "org/echo"}))[0] == 401
        assert (await get(door, "/models"))[0] == 401
        assert [placed.state for placed in assembly.placed()] == ["loaded"]
        assert (await order(door, "/models/unload", {"model": "org/echo"}, authorization="Bearer k"))[0] == 200


async def test_without_keys_only_this_machine_may(tmp_path: Path) -> None:
    """A page in a browser here under another name may not."""
    async with a_door(tmp_path) as (door, _):
        status, told = await order(door, "/v1/models/unload", {"model": "org/echo"}, host="evil.example")
        assert (status, "only this machine itself may unload models" in told["error"]["message"]) == (401, True)


async def test_a_gateway_without_models_of_its_own_says_so(tmp_path: Path) -> None:
    """It lists what others have."""
    async with a_door(tmp_path) as (door, _):
        door.shelf = None
        status, told = await order(door, "/v1/models/load", {"model": "m"})
        assert (status, told["error"]["message"]) == (400, "this gateway has no models of its own")
        assert statuses((await get(door, "/models"))[1]) == {"org/echo": "loaded"}
