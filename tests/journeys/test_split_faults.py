"""A list of workers with everything wrong in it: each entry is told for what it is, and the rest works."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from listeners import chat, listen_to_all
from live_gateway import free_port, live_gateway
from live_worker import live_worker
from split_swarm import SplitSwarm
from tinygguf import Shape, write_cut_short, write_llama, write_not_gguf

pytestmark = [pytest.mark.engine, pytest.mark.journey]


@contextmanager
def a_listener(answer: bytes | None) -> Generator[str]:
    """Yield the address of something that accepts and says *answer*, or for None nothing, ever."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = list[socket.socket]()

        def serve() -> None:
            while True:
                try:
                    accepted, _ = server.accept()
                except OSError:
                    return
                held.append(accepted)
                if answer is not None:
                    accepted.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            for each in held:
                each.close()
            thread.join(5)


def test_every_bad_entry_is_named_and_the_good_one_is_used(tmp_path: Path) -> None:
    """Malformed, twice, ourselves, a stranger, a silent one, nobody: each with its reason; the model is split."""
    port = free_port()
    own = f"127.0.0.1:{port}"
    nobody = f"127.0.0.1:{free_port()}"
    model = write_llama(tmp_path / "m.gguf", shape=Shape(layers=6))
    backend = {"use": "llamacpp", "model": str(model), "threads": 1}
    with ExitStack() as stack:
        good = stack.enter_context(live_worker(tmp_path, "good"))
        stranger = stack.enter_context(a_listener(b"220 mail.example ESMTP\r\n"))
        silent = stack.enter_context(a_listener(None))
        listed = ["http://10.0.0.5:1", "worker.lan", "10.0.0.300:1", "10.0.0.5:99999", good.address, good.address]
        listed += [f"localhost:{good.port}", own, stranger, silent, nobody]
        gateway = stack.enter_context(
            live_gateway(
                tmp_path,
                [backend],
                environ={"LLAMACPP_GRPC_SERVERS": ",".join(listed)},
                port=port,
                placement="split",
                settle_seconds=0.2,
            )
        )
        swarm = SplitSwarm(gateway, tmp_path, {"good": good})
        either = {good.address, f"localhost:{good.port}"}  # whichever of its two names answered first
        swarm.until(lambda: bool(swarm.model()["ready"]) and any({"here", name} == held(swarm) for name in either))
        swarm.until(lambda: swarm_reasons(swarm).keys() >= {own, stranger, silent, nobody})
        reasons = swarm_reasons(swarm)
        said = gateway.said()
        (heard,) = asyncio.run(listen_to_all(gateway.url, [chat(1, tokens=8)]))
    assert heard.whole
    for entry in ("'http://10.0.0.5:1' is a URL", "'worker.lan' has no port", "'10.0.0.300' is no IPv4 address"):
        assert entry in said
    assert "the port is 99999, and the highest is 65535" in said
    assert f"'{good.address}' is listed twice" in said
    assert "this gateway's own address" in reasons[own]
    assert "no llama.cpp worker" in reasons[stranger]
    assert "220 mail.example" in reasons[stranger]
    assert "did not answer within" in reasons[silent]
    assert "nothing answers at" in reasons[nobody]
    assert any("in use as" in reason for reason in reasons.values())


def held(swarm: SplitSwarm) -> set[str]:
    """Return the places that hold layers, as the gateway calls them."""
    return {place["place"] for place in swarm.model().get("places") or [] if place["share"]}


def swarm_reasons(swarm: SplitSwarm) -> dict[str, str]:
    """Return why each worker that is left out is left out."""
    workers = swarm.gateway.get("/v1/swarm")["workers"]
    return {each["name"]: each["reason"] for each in workers if each["state"] == "left_out"}


def test_a_model_that_fits_nowhere_is_refused_with_the_numbers(tmp_path: Path) -> None:
    """The gateway serves the others, says what is missing, and loads the model when a worker brings it."""
    big = write_llama(tmp_path / "big.gguf", shape=Shape(layers=6, width=256, feed_forward=1024))
    small = write_llama(tmp_path / "small.gguf")
    backends = [{"use": "llamacpp", "model": str(path), "threads": 1} for path in (big, small)]
    with live_worker(tmp_path, "late") as late:
        address = late.address
    with live_gateway(
        tmp_path, backends, workers=[address], wait=False, memory_mb=24, settle_seconds=0.2, queue_seconds=1.0
    ) as gateway:
        swarm = SplitSwarm(gateway, tmp_path, {"late": late})

        def models() -> dict[str, dict[str, object]]:
            return {model["name"]: model for model in gateway.get("/v1/swarm")["models"]}

        swarm.until(lambda: bool(models()["small"]["ready"]) and bool(models()["big"]["waiting"]))
        assert "here are" in str(models()["big"]["waiting"])
        (refused,) = asyncio.run(listen_to_all(gateway.url, [chat(1, model="big")]))
        assert refused.status == 503
        assert "big needs" in str(refused.error)
        swarm.start("late")
        swarm.until(lambda: bool(models()["big"]["ready"]))
        swarm.stop("late")


def test_files_that_are_no_models_are_told_and_the_sound_one_is_split(tmp_path: Path) -> None:
    """Missing, cut short, not GGUF: the reasons are the file's, and nobody waits for them."""
    sound = write_llama(tmp_path / "sound.gguf", shape=Shape(layers=6))
    cut = write_cut_short(tmp_path / "cut.gguf")
    not_one = write_not_gguf(tmp_path / "not.gguf")
    paths = [sound, cut, not_one, tmp_path / "missing.gguf"]
    backends = [{"use": "llamacpp", "model": str(path), "threads": 1} for path in paths]
    with (
        live_worker(tmp_path, "good") as good,
        live_gateway(
            tmp_path, backends, workers=[good.address], wait=False, placement="split", settle_seconds=0.2
        ) as gateway,
    ):
        swarm = SplitSwarm(gateway, tmp_path, {"good": good})

        def reasons() -> dict[str, str]:
            return {model["name"]: model.get("reason", "") for model in gateway.get("/v1/swarm")["models"]}

        swarm.until(lambda: reasons()["sound"] == "")
        told = reasons()
    assert "is cut short" in told["cut"]
    assert "is not a GGUF file" in told["not"]
    assert "there is no model file" in told["missing"]
