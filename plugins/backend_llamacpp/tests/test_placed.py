"""An engine over real lenders: it dies with them, and comes back with them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from gguf import GGMLQuantizationType
from lenders import Lending, lending, spread_over, worker_at
from swarmgate.api import EngineError, GenerateRequest, Resume, Sampling, SplitPlan, Starting, Unavailable, Worker
from swarmgate.testing import a_request
from swarmgate.testing.answers import PATIENCE, until_ready, write
from swarmgate_backend_llamacpp.backend import LlamaBackend, open_backend
from swarmgate_backend_llamacpp.options import LlamaOptions
from swarmgate_backend_llamacpp.rpc.lease import SILENCE_SECONDS
from swarmgate_backend_llamacpp.rpc.lender import RpcServer
from swarmgate_backend_llamacpp.rpc.messages import Serve
from tinygguf import Shape, write_llama

pytestmark = [pytest.mark.engine, pytest.mark.anyio]

Lenders = tuple[Lending, Lending]
#: How long a death may take to be noticed, in seconds.
PROMPT = 3.0


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio alone: the contract's tests prove that the loop does not matter."""
    return "asyncio"


def request(backend: LlamaBackend, **fields: Any) -> GenerateRequest:
    fields = {"max_tokens": 60, "ignore_eos": True, **fields}
    return a_request(model=backend.models()[0].name, **fields)


@asynccontextmanager
async def split_over(path: Path, *workers: Worker, here: int = 1) -> AsyncGenerator[LlamaBackend]:
    """Hold a backend that is loaded over *workers*."""
    options = LlamaOptions(model=str(path), threads=1)
    async with open_backend(options, holder="alpha") as backend:
        await backend.load(spread_over(backend.models()[0], *workers, here=here))
        yield backend


async def write_until(backend: LlamaBackend, kill: Callable[[], None]) -> tuple[tuple[int, ...], float]:
    """Let *backend* write for ever, and *kill* something after eight pieces; return their tokens, and how long it took.

    That is, in seconds, until the answer failed.
    """
    said: list[int] = []
    with anyio.fail_after(PATIENCE):
        async with backend.generate(request(backend, max_tokens=None)) as deltas:
            for _ in range(8):
                said.extend((await anext(deltas)).token_ids)
            kill()
            began = time.monotonic()
            with pytest.raises(EngineError):
                async for _ in deltas:
                    pass
            return tuple(said), time.monotonic() - began


async def until_ready_again(backend: LlamaBackend) -> None:
    with anyio.fail_after(PATIENCE):
        while not backend.health().ready:  # noqa: ASYNC110 -- the contract has nothing to wait on
            await anyio.sleep(0.01)


async def until_it_says(backend: LlamaBackend, reason: str) -> None:
    with anyio.fail_after(PATIENCE):
        while reason not in backend.health().reason:  # noqa: ASYNC110 -- the contract has nothing to wait on
            await anyio.sleep(0.01)


async def test_a_split_writes_what_one_machine_writes(layered: Path, two_lenders: Lenders) -> None:
    """Greedy and sampled, over two workers with a layer here, over one with none here, and all of it here again."""
    one, other = two_lenders
    async with split_over(layered, one.worker, other.worker) as backend:
        card, texts = backend.models()[0], []
        for plan in (None, spread_over(card, one.worker, here=0), SplitPlan()):
            if plan is not None:
                await backend.load(plan)
            sampled = request(backend, sampling=Sampling(temperature=1.0, seed=3))
            texts.append([(await write(backend, each)).text for each in (request(backend), sampled)])
    assert texts[0] == texts[1] == texts[2]
    assert texts[0][0] != texts[0][1]


async def test_a_quantized_model_writes_the_same_here_and_there(tmp_path: Path, two_lenders: Lenders) -> None:
    """Once split its weights lie here as in the file: rearranged for this CPU they would sum otherwise (Q4_0)."""
    shape = Shape(layers=4, width=128, feed_forward=256)
    model = write_llama(tmp_path / "m.gguf", shape=shape, quantized=GGMLQuantizationType.Q4_0)
    async with split_over(model, *(lender.worker for lender in two_lenders), here=2) as backend:
        whole = await write(backend, request(backend, max_tokens=200))
        await backend.load(SplitPlan())
        assert (await write(backend, request(backend, max_tokens=200))).text == whole.text
        resume = Resume(token_ids=whole.token_ids[:9], seed=whole.seed or 0)
        rest = await write(backend, request(backend, max_tokens=200, resume=resume))
        assert whole.token_ids[:9] + rest.token_ids == whole.token_ids


async def test_a_killed_rpc_server_comes_back_by_the_same_plan(layered: Path, tmp_path: Path) -> None:
    """The answer fails at once, the lender starts its server anew, and the lease stands all the while."""
    with lending(tmp_path) as lender:
        async with split_over(layered, lender.worker) as backend:
            whole = await write(backend, request(backend))
            _, seconds = await write_until(backend, lambda: os.kill(lender.server_pid, signal.SIGKILL))
            assert seconds < PROMPT
            assert not backend.health().ready
            await until_ready_again(backend)
            assert (await write(backend, request(backend))).text == whole.text


async def test_a_killed_lender_is_told_and_another_plan_goes_on(
    layered: Path, two_lenders: Lenders, tmp_path: Path
) -> None:
    """The reason names the worker; by a plan without it the answer is resumed exactly."""
    with lending(tmp_path, "mortal") as mortal:
        async with split_over(layered, two_lenders[0].worker, mortal.worker) as backend:
            whole = await write(backend, request(backend))
            said, seconds = await write_until(backend, mortal.process.kill)
            assert seconds < PROMPT
            await until_it_says(backend, "worker 'mortal'")  # the engine's own death may have come first
            with pytest.raises(Starting, match=r"worker 'mortal'"):
                await write(backend, request(backend))
            await backend.load(spread_over(backend.models()[0], two_lenders[0].worker))
            rest = await write(backend, request(backend, resume=Resume(token_ids=said, seed=whole.seed or 0)))
            assert said + rest.token_ids == whole.token_ids


async def test_a_silent_worker_is_given_up(layered: Path, tmp_path: Path) -> None:
    """A machine that hangs, its kernel alive: the engine would wait for ever, and is killed when the lease is lost."""
    with lending(tmp_path, "frozen") as frozen:
        async with split_over(layered, frozen.worker) as backend:

            def freeze() -> None:
                for pid in (frozen.server_pid, frozen.process.pid):
                    os.kill(pid, signal.SIGSTOP)

            _, seconds = await write_until(backend, freeze)
            assert SILENCE_SECONDS - 2 < seconds < SILENCE_SECONDS + PROMPT
            assert "worker 'frozen'" in backend.health().reason
            await backend.load(SplitPlan())
            assert (await write(backend, request(backend))).finish == "length"


async def test_the_same_plan_again_says_who_is_gone(layered: Path, tmp_path: Path) -> None:
    """Whoever insists on a plan whose worker is dead hears so, and nothing is given up for good."""
    with lending(tmp_path, "mortal") as mortal:
        async with split_over(layered, mortal.worker) as backend:
            await write_until(backend, mortal.process.kill)
            with (
                anyio.fail_after(PATIENCE),
                pytest.raises(Unavailable, match="worker 'mortal' cannot be used: nothing"),
            ):
                await backend.load(spread_over(backend.models()[0], mortal.worker))
            assert not backend.health().permanent
            await backend.load(SplitPlan())
            assert backend.health().ready


async def test_llama_cpp_s_own_server_will_do(layered: Path) -> None:
    """Without leases: that it died is noticed by the engine's death, and asked before it is loaded again."""
    server = RpcServer(Serve((), 1, 0, None))
    async with server.child:
        await server.settle()
        assert server.endpoint is not None
        async with split_over(layered, worker_at(server.endpoint, "plain")) as backend:
            whole = await write(backend, request(backend))
            async with backend.generate(request(backend, max_tokens=None)) as deltas:
                await anext(deltas)
                backend.kill()
                with pytest.raises(EngineError):
                    async for _ in deltas:
                        pass
            await until_ready_again(backend)
            assert (await write(backend, request(backend))).text == whole.text
            _, seconds = await write_until(backend, server.child.kill)
            assert seconds < PROMPT
            await until_it_says(backend, "worker 'plain' cannot be used")
        async with open_backend(LlamaOptions(model=str(layered), threads=1)) as backend:
            await until_ready(backend)
