"""The lender, whole: llama.cpp's RPC server in its child, the listener before it, and llama.cpp clients."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import Process
from swarmgate.api import Endpoint, EngineError, Unavailable
from swarmgate_backend_llamacpp.options import LlamaCppRpcOptions
from swarmgate_backend_llamacpp.rpc.client import lease, probe
from swarmgate_backend_llamacpp.rpc.lease import Facts
from swarmgate_backend_llamacpp.rpc.lender import RpcLender, RpcServer, labels
from swarmgate_backend_llamacpp.rpc.messages import Serve
from tinygguf import Shape, write_llama

pytestmark = [pytest.mark.engine, pytest.mark.anyio]

CLIENT = Path(__file__).parent / "programs" / "split_client.py"
TOKENS = 24
PATIENCE = 40


def a_lender(folder: Path, **options: Any) -> RpcLender:
    options = {"listen": "127.0.0.1:0", "threads": 1, **options}
    return RpcLender(LlamaCppRpcOptions(**options), folder)


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio alone: the contract and the listener's tests prove that the loop does not matter."""
    return "asyncio"


@pytest.mark.anyio
async def test_a_lender_says_who_it_is() -> None:
    """The node it was told it is of, and a word of its own that no other lender, nor its next start, has."""
    one, other = [await RpcServer(Serve((), 1, 0, None), node="n1").facts("") for _ in range(2)]
    assert (one.node, other.node) == ("n1", "n1")
    assert one.instance != other.instance
    assert labels(one)["node"] == "n1"
    assert labels(one)["instance"] == one.instance
    assert not {"node", "instance"} & labels(Facts((), "7.0.0")).keys()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llama(tmp_path_factory.mktemp("models") / "m.gguf", shape=Shape(layers=4))


@pytest.fixture(scope="module")
def alone(model: Path) -> list[str]:
    """What the client writes without any server."""
    done = subprocess.run(
        [sys.executable, CLIENT, model, str(TOKENS)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=True,
    )
    assert len(set(done.stdout.split())) > TOKENS // 3
    return done.stdout.split()


@asynccontextmanager
async def a_client(model: Path, *endpoints: Endpoint, tokens: int = TOKENS) -> AsyncGenerator[Process]:
    """Hold a client's process."""
    command = [sys.executable, str(CLIENT), str(model), str(tokens), *map(str, endpoints)]
    async with await anyio.open_process(command, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.kill()


async def lines(process: Process, count: int) -> list[str]:
    """Return the first *count* lines the process says."""
    assert process.stdout is not None
    said = b""
    with anyio.fail_after(PATIENCE):
        while said.count(b"\n") < count:
            said += await process.stdout.receive()
    return said.decode().split()[:count]


async def until_serving(endpoint: Endpoint) -> None:
    with anyio.fail_after(PATIENCE):
        while (await probe(endpoint)).waiting:  # noqa: ASYNC110 -- told by the far side alone
            await anyio.sleep(0.05)


async def test_a_split_writes_what_one_machine_writes(model: Path, alone: list[str], tmp_path: Path) -> None:
    """A llama.cpp client whose weights lie on one lender, then on two, writes the same tokens."""
    async with a_lender(tmp_path / "a").lend() as one, a_lender(tmp_path / "b").lend() as other:
        async with a_client(model, one.endpoint) as client:
            assert await lines(client, TOKENS) == alone
        async with a_client(model, one.endpoint, other.endpoint) as client:
            assert await lines(client, TOKENS) == alone


async def test_a_killed_server_is_replaced(model: Path, alone: list[str], tmp_path: Path) -> None:
    """Its client dies of it, as llama.cpp's do; the lender says so, offers a new one, and that one serves."""
    lender = a_lender(tmp_path)
    async with lender.lend() as loan, lease(loan.endpoint, "alpha") as held:
        async with a_client(model, loan.endpoint, tokens=100_000) as client:
            await lines(client, 3)
            assert lender.server is not None
            lender.server.child.kill()
            with anyio.fail_after(PATIENCE):
                assert await client.wait() == -signal.SIGABRT
        await until_serving(loan.endpoint)
        assert not held.lost
        assert lender.server.child.starts == 2
        async with a_client(model, loan.endpoint) as client:
            assert await lines(client, TOKENS) == alone


async def test_a_second_plain_client_ends_at_once(model: Path, alone: list[str], tmp_path: Path) -> None:
    """llama.cpp's own server would let it hang for ever; the first one writes on."""
    async with a_lender(tmp_path).lend() as loan, a_client(model, loan.endpoint) as first:
        assert await lines(first, TOKENS) == alone
        async with a_client(model, loan.endpoint) as second:
            with anyio.fail_after(PATIENCE):
                assert await second.wait() == -signal.SIGABRT
        assert first.returncode is None
        with pytest.raises(Unavailable, match=r"a llama\.cpp client at 127\.0\.0\.1"):
            async with lease(loan.endpoint, "alpha"):
                pass


HOLDER = """
import sys
from functools import partial
import anyio
from swarmgate.api import Endpoint
from swarmgate_backend_llamacpp.rpc.client import lease

async def hold(port):
    async with lease(Endpoint("127.0.0.1", port), "alpha"):
        print("held", flush=True)
        await anyio.sleep_forever()

anyio.run(hold, int(sys.argv[1]))
"""


async def test_a_dead_holder_frees_its_lease_at_once(tmp_path: Path) -> None:
    """A gateway that is killed says nothing; its connection's end is enough."""
    async with a_lender(tmp_path).lend() as loan:
        command = [sys.executable, "-c", HOLDER, str(loan.endpoint.port)]
        async with await anyio.open_process(command, stderr=None) as holder:
            assert await lines(holder, 1) == ["held"]
            with pytest.raises(Unavailable, match="is lent to 'alpha'"):
                async with lease(loan.endpoint, "beta"):
                    pass
            holder.kill()
            await holder.wait()
        with anyio.fail_after(2):
            while True:
                with suppress(Unavailable):
                    async with lease(loan.endpoint, "beta"):
                        break
                await anyio.sleep(0.01)


async def test_memory_is_limited_for_everybody_who_asks(tmp_path: Path) -> None:
    """Our own gateways and llama.cpp's clients are told of the limit; without one, of what is really free."""
    lender = a_lender(tmp_path, memory_mb=64)
    async with lender.lend() as loan:
        facts = await probe(loan.endpoint)
        assert facts.memory_total_bytes == 64 << 20
        assert 0 < facts.memory_bytes <= 64 << 20
        assert lender.server is not None
        assert lender.server.endpoint is not None
        plain = await probe(lender.server.endpoint)
        assert (plain.keeps_leases, plain.memory_total_bytes) == (False, 64 << 20)
    async with a_lender(tmp_path).lend() as loan:
        physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        facts = await probe(loan.endpoint)
        assert facts.memory_total_bytes == physical
        assert 0 < facts.memory_bytes < physical


async def test_tensors_are_kept_where_it_was_said(tmp_path: Path) -> None:
    """Large ones stay in the cache between loads, unless the cache is off."""
    large = write_llama(tmp_path / "large.gguf", shape=Shape(layers=1, width=1024, feed_forward=4096), quantized=None)
    for options in ({"cache_dir": str(tmp_path / "kept")}, {"tensor_cache": False}):
        async with a_lender(tmp_path, **options).lend() as loan, a_client(large, loan.endpoint) as client:
            await lines(client, 1)
    assert [file.stat().st_size for file in (tmp_path / "kept").iterdir()] == [4 * 1024 * 4096] * 3
    assert not (tmp_path / "tensors").exists()


async def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    """With what to do; nothing is left running."""
    async with a_lender(tmp_path).lend() as loan:
        second = a_lender(tmp_path, listen=str(loan.endpoint))
        with pytest.raises(EngineError, match=rf"cannot listen on {loan.endpoint}: address already in use; choose"):
            async with second.lend():
                pass
        assert second.server is None


async def test_who_is_found_by_itself_takes_another_port(tmp_path: Path) -> None:
    """In a swarm two workers share a machine without anybody choosing ports; only the default gives way."""
    async with a_lender(tmp_path).lend() as loan:
        second = RpcLender(LlamaCppRpcOptions(listen=str(loan.endpoint), threads=1), tmp_path, gives_way=True)
        async with second.lend() as other:
            assert other.endpoint.host == loan.endpoint.host
            assert other.endpoint.port != loan.endpoint.port


async def test_a_device_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With those that are."""
    with pytest.raises(EngineError, match=r"there is no device 'CUDA7'; this machine has .*CPU"):
        async with a_lender(tmp_path, device="CUDA7").lend():
            pass


async def test_a_cache_that_cannot_be_is_named(tmp_path: Path) -> None:
    """Before anything is lent."""
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match=r"the tensor cache .* cannot be used"):
        async with a_lender(tmp_path, cache_dir=str(tmp_path / "file")).lend():
            pass


async def test_leaving_ends_the_child(tmp_path: Path) -> None:
    """No process outlives its lender."""
    lender = a_lender(tmp_path)
    async with lender.lend():
        assert lender.server is not None
        pid = lender.server.child.pid
        assert pid is not None
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
