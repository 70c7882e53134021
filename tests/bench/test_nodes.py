from __future__ import annotations

from dataclasses import replace

import anyio
import pytest
from swarmgate.api import EngineError, GenerateRequest, Resume, TextPrompt, Unsupported
from swarmgate.testing import an_embed_request
from trio.testing import MockClock
from virtual.nodes import FAST_SECONDS, SLOPE, Machine, Node

SLOW = Machine("slow", prefill=100.0, decode=10.0, slots=2, rtt=0.5)


@pytest.fixture(
    params=[pytest.param(("trio", {"clock": MockClock(autojump_threshold=0)}), id="virtual")],
)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    return request.param


def asking(text: str, tokens: int = 1, *, said: int = 0) -> GenerateRequest:
    resume = Resume(token_ids=(1,) * said, seed=0) if said else None
    return GenerateRequest(id="r", model="m", prompt=TextPrompt(text=text), max_tokens=tokens, resume=resume)


async def seconds(node: Node, request: GenerateRequest) -> tuple[float, float, int]:
    """Return when the first token came, when the answer was whole, and how many tokens came."""
    began = anyio.current_time()
    first, tokens = 0.0, 0
    async with node.generate(request) as deltas:
        async for delta in deltas:
            first = first or anyio.current_time() - began
            tokens += len(delta.token_ids)
    return first, anyio.current_time() - began, tokens


@pytest.mark.anyio
async def test_an_answer_takes_its_time() -> None:
    """The way, the prompt, the first token; then the rest of them, as many as were asked for."""
    node = Node(SLOW)
    first, whole, tokens = await seconds(node, asking("x" * 400, 21))
    assert (first, whole, tokens) == (pytest.approx(0.5 + 1.0 + 0.1), pytest.approx(0.5 + 1.0 + 2.1), 21)


@pytest.mark.anyio
async def test_what_is_held_is_not_read_again() -> None:
    """Only the rest of a prompt that began alike takes time, until it is pushed out."""
    node = Node(replace(SLOW, memory=150))
    await seconds(node, asking("x" * 400))
    assert (await seconds(node, asking("x" * 300 + "y" * 100)))[0] == pytest.approx(0.5 + 0.25 + 0.1)
    assert (node.held_tokens, node.read_tokens) == (75, 125)
    assert (await seconds(node, asking("x" * 400)))[0] == pytest.approx(0.5 + 0.25 + 0.1)


@pytest.mark.anyio
async def test_company_slows_writing_and_waits_in_line_for_reading() -> None:
    """Prompts are read one by one, answers written side by side, in so many slots."""
    node, times = Node(replace(SLOW, rtt=0.0)), list[float]()

    async def go(letter: str) -> None:
        times.append((await seconds(node, asking(letter * 400, 9)))[1])

    async with anyio.create_task_group() as tasks:
        for letter in "abc":
            tasks.start_soon(go, letter)
    assert times[0] == pytest.approx(1.0 + 0.1 + 0.8)
    assert times[1] == pytest.approx(2.0 + 0.1 + 0.8 * (1 + SLOPE), abs=0.2)
    assert times[2] > 3.0


@pytest.mark.anyio
async def test_a_begun_answer_goes_on() -> None:
    """What is out already is read, and not written again."""
    assert (await seconds(Node(SLOW), asking("x" * 400, 10, said=8)))[1:] == (pytest.approx(0.5 + 1.08 + 0.2), 2)


@pytest.mark.anyio
async def test_failures_are_as_the_machine_says() -> None:
    """One that fails does so at once; one that dies takes down what it was at, and is ready again later."""
    began = anyio.current_time()
    with pytest.raises(EngineError, match="fails fast"):
        await seconds(Node(Machine("x", fails=True)), asking("x"))
    assert anyio.current_time() - began == pytest.approx(FAST_SECONDS)
    mortal = Node(replace(SLOW, dies=began + 2.0, returns=began + 9.0))
    assert mortal.health().ready
    with pytest.raises(EngineError, match="went down"):
        await seconds(mortal, asking("x" * 400, 50))
    assert not mortal.health().ready
    await anyio.sleep(8)
    assert mortal.health().ready
    assert (await seconds(mortal, asking("x" * 400)))[0] == pytest.approx(1.6)


@pytest.mark.anyio
async def test_it_only_writes() -> None:
    """Nothing else is simulated."""
    with pytest.raises(Unsupported):
        await Node(SLOW).embed(an_embed_request("x"))
