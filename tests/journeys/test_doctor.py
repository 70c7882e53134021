"""``gateway doctor`` as people run it, with each of these faults for real: it names the fault, and what to do."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from live_gateway import live_gateway
from live_worker import clean_environ
from namespaces import Lan, lan, why_not
from swarm_members import LAN_ONLY, a_token, members

_WHY_NOT = why_not()
pytestmark = [pytest.mark.journey, pytest.mark.timeout(180)]
ECHO = {"use": "echo"}
_HELLO = bytes((14,))
GATEWAY = str(Path(sys.executable).with_name("gateway"))


def examined(folder: Path, text: str, *, prefix: tuple[str, ...] = (), **environ: str) -> tuple[int, dict[str, Any]]:
    """Run the doctor with *text* as its configuration; return its status, and its findings by check."""
    folder.mkdir(exist_ok=True)
    (folder / "gateway.toml").write_text(text)
    done = subprocess.run(
        [*prefix, GATEWAY, "doctor", "--json"],
        cwd=folder,
        env=clean_environ(GATEWAY_STATE_DIR=str(folder / "state"), **environ),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode in {0, 1}, done.stderr
    return done.returncode, {each["name"]: each.get("findings", []) for each in json.loads(done.stdout)["sections"]}


def codes(findings: list[dict[str, Any]]) -> list[str]:
    return [each.get("code", "") for each in findings]


def echoing(listen: str = "127.0.0.1:0") -> str:
    return f'[gateway]\nlisten = "{listen}"\n[[backend]]\nuse = "echo"\n'


def test_a_gateway_that_runs_and_is_well(tmp_path: Path) -> None:
    """Status 0; its own port is no fault."""
    with live_gateway(tmp_path / "gw", [ECHO]) as running:
        status, found = examined(tmp_path / "me", echoing(running.url.removeprefix("http://")))
    assert status == 0
    assert "runs" in found["address"][0]["what"]
    assert [each["what"] for each in found["models"]] == ["ready"]


def test_a_port_that_somebody_else_has(tmp_path: Path) -> None:
    """Status 1, with the address and what is to be done."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        status, found = examined(tmp_path, echoing(where))
    assert (status, codes(found["address"])) == (1, ["address.unusable"])
    assert where in found["address"][0]["what"]
    assert "--listen" in found["address"][0]["remedy"]


def test_a_mistyped_option_and_a_mistyped_token(tmp_path: Path) -> None:
    """Each fault of the configuration has its place; a token is not quoted."""
    status, found = examined(tmp_path, '[gateway]\nlistn = "x"\n[[backend]]\nuse = "eco"\n')
    assert (status, codes(found["config"])) == (1, ["config.faulty", "config.faulty"])
    assert [each["what"].partition(" ")[0] for each in found["config"]] == ["gateway.toml:2:", "gateway.toml:4:"]
    status, found = examined(tmp_path, echoing(), TOKEN="sgt_mistyped")
    assert (status, codes(found["config"])) == (1, ["config.faulty"])
    assert found["config"][0]["what"].startswith("TOKEN: ")
    assert "sgt_mistyped" not in str(found)


@contextmanager
def old_worker() -> Generator[str]:
    """A server that says it speaks version 3 of llama.cpp's RPC, as those of early 2025 do."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client:
                    if client.recv(64)[:1] == _HELLO:  # a word that it does not know ends the connection
                        client.sendall(struct.pack("<Q", 3) + bytes((3, 0, 0)))
                        client.recv(64)

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def test_a_worker_of_another_version_and_one_that_is_not_there(tmp_path: Path) -> None:
    """Each is named with where it was dialled, which list it is from, and the reason."""
    with old_worker() as old, socket.create_server(("127.0.0.1", 0)) as closing:
        gone = f"127.0.0.1:{closing.getsockname()[1]}"
        closing.close()
        text = f'{echoing()}[[discovery]]\nuse = "static"\nworkers = ["{old}", "{gone}"]\n'
        status, found = examined(tmp_path, text)
    assert (status, codes(found["nodes"])) == (1, ["nodes.not_reached"] * 2)
    by_name = {each["about"]: each["what"] for each in found["nodes"]}
    assert "version 3.0.0 of llama.cpp's RPC protocol, and this machine 7" in by_name[f"worker {old}"]
    for fact in (f"dialled at tcp://{gone}", "found by static"):
        assert fact in by_name[f"worker {gone}"]


def test_an_engine_without_rpc(tmp_path: Path) -> None:
    """As ready-made wheels are; a stand-in says so here, since the one that is built has it."""
    package = tmp_path / "site" / "llama_cpp"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        "__version__ = '0.3.36'\n"
        "def llama_backend_init(): pass\n"
        "def llama_supports_rpc(): return False\n"
        "def llama_print_system_info(): return b'CPU : AVX2 = 1 | '\n"
    )
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    text = f'[gateway]\nlisten = "127.0.0.1:0"\n[[backend]]\nuse = "llamacpp"\nmodel = "{tmp_path}/m.gguf"\n'
    status, found = examined(tmp_path, text, PYTHONPATH=str(tmp_path / "site"))
    assert (status, codes(found["engine"])[0]) == (1, "engine.no_rpc")
    assert "make setup-engine" in found["engine"][0]["remedy"]


@pytest.fixture(scope="module")
def net() -> Iterator[Lan]:
    with lan("gw", "one", number=7) as made:
        yield made


@pytest.mark.skipif(bool(_WHY_NOT), reason=_WHY_NOT or "they can be made")
def test_a_wrong_token_on_a_lan(tmp_path: Path, net: Lan) -> None:
    """Another swarm's announcements are heard, and none of ours; with the right token the gateway is found and used."""
    tables = "".join(f'{head}\nuse = "{table["use"]}"\n' for head, table in LAN_ONLY)
    text = f'[gateway]\nlisten = "127.0.0.1:0"\nfederated = true\n{tables}[[backend]]\nuse = "echo"\n'
    with members(tmp_path / "swarm", net) as swarm:
        swarm.gateway("gw", "run", "--federated", backends=[ECHO])
        right, wrong = swarm.token.read_text().strip(), a_token(tmp_path, "stranger").read_text().strip()
        prefix = tuple(net.prefix("one"))
        status, found = examined(tmp_path / "wrong", text, prefix=prefix, TOKEN=wrong)
        assert (status, "multicast.other_swarm" in codes(found["multicast"])) == (1, True)
        assert codes(found["nodes"]) == ["nodes.alone"]
        status, found = examined(tmp_path / "right", text, prefix=prefix, TOKEN=right)
    assert (status, [each["about"] for each in found["nodes"]]) == (0, ["gateway gw"])
    assert "found by mdns" in found["nodes"][0]["what"]
    assert "by tls, direct" in found["nodes"][0]["what"]
