from __future__ import annotations

from dataclasses import replace
from os.path import commonprefix
from random import Random

import anyio
import pytest
from swarmgate.api import EngineError, GenerateRequest, Resume, TextPrompt, Unsupported
from swarmgate.testing import an_embed_request
from trio.testing import MockClock
from virtual.nodes import FAST_SECONDS, LAPSE, SLOPE, Machine, Node, _common

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
async def test_it_joins_when_it_is_said_to() -> None:
    """Before that nobody knows of it."""
    node = Node(replace(SLOW, joins=anyio.current_time() + 5.0))
    assert not node.known()
    await anyio.sleep(5)
    assert node.known()


@pytest.mark.anyio
async def test_a_lapse_is_slow_at_writing_and_depends_on_the_prompt_alone() -> None:
    """About the share that was asked for, each time the same ones; every token of theirs takes as much longer."""
    machine = replace(SLOW, lapses=0.2)
    prompts = [f"prompt {number}" for number in range(1000)]
    slow = [prompt for prompt in prompts if machine.slower(prompt) == LAPSE]
    assert 150 < len(slow) < 250
    assert all(SLOW.slower(prompt) == 1.0 for prompt in prompts)
    assert (await seconds(Node(machine), asking(slow[0], 9)))[1] == pytest.approx(0.5 + 0.02 + LAPSE * 0.9, abs=0.01)


@pytest.mark.anyio
async def test_the_length_of_an_answer_may_be_told_apart_from_the_request() -> None:
    """A machine knows how long its answer will be where the request does not say."""
    node = Node(SLOW, lambda _: 7)
    assert (await seconds(node, asking("x" * 400, 1000)))[2] == 7


@pytest.mark.anyio
async def test_work_is_reading_and_a_slots_part_of_writing() -> None:
    """100 tokens read at 100 a second, and 20 written at 10 a second in one of two slots."""
    node = Node(SLOW)
    await seconds(node, asking("x" * 400, 20))
    assert node.work_seconds == pytest.approx(1.0 + 2.0 / 2)


@pytest.mark.anyio
async def test_what_is_foretold_comes_true() -> None:
    """By as much as a request is said to lengthen everybody's time, the sum of all times grows when it is sent."""

    async def total(*, more: bool) -> tuple[float, float]:
        """Return what is foretold for one more request after 2.5 s, and the sum of the times of all."""
        node, times, foretold = Node(SLOW), list[float](), 0.0

        async def go(prompt: str, tokens: int) -> None:
            times.append((await seconds(node, asking(prompt, tokens)))[1])

        async with anyio.create_task_group() as tasks:
            for letter, tokens in (("a", 41), ("b", 25), ("c", 17)):
                tasks.start_soon(go, letter * 400, tokens)
                await anyio.sleep(0.1)  # else the order of tasks is trio's to draw
            await anyio.sleep(2.3)
            foretold = node.flow_seconds("a" * 300 + "d" * 100, 33)
            if more:
                tasks.start_soon(go, "a" * 300 + "d" * 100, 33)
        return foretold, sum(times)

    foretold, less = await total(more=False)
    again, grown = await total(more=True)
    assert foretold == pytest.approx(again)
    assert foretold == pytest.approx(grown - less, rel=0.05)


@pytest.mark.anyio
async def test_queues_count_as_often_as_one_says() -> None:
    """Nothing changes for an idle machine; for a busy one waits count so many times, and those who wait for a slot."""
    node = Node(SLOW)
    assert node.flow_seconds("x" * 400, 11, queues_count=9.0) == node.flow_seconds("x" * 400, 11)
    assert node.flow_seconds("x" * 400, 11, waiting=3) == node.flow_seconds("x" * 400, 11)

    async def go(letter: str) -> None:
        await seconds(node, asking(letter * 400, 11))

    async with anyio.create_task_group() as tasks:
        for letter in "abc":
            tasks.start_soon(go, letter)
        await anyio.sleep(1.0)
        alone = 0.5 + 1.0 + 1.1
        once, twice, crowded = (
            node.flow_seconds("x" * 400, 11, queues_count=count, waiting=waiting)
            for count, waiting in ((1.0, 0), (2.0, 0), (1.0, 3))
        )
        assert once - alone == pytest.approx(twice - once)
        assert crowded - once == pytest.approx(3 * 1.0)  # reading is what keeps it busy: 100 tokens at 100 a second
    assert Node(Machine("x", fails=True)).flow_seconds("x", 1) == float("inf")


@pytest.mark.anyio
async def test_it_only_writes() -> None:
    """Nothing else is simulated."""
    with pytest.raises(Unsupported):
        await Node(SLOW).embed(an_embed_request("x"))


def test_what_two_prompts_have_in_common_is_their_common_prefix() -> None:
    """Whatever their lengths and wherever they part, unless that is at the first glance."""
    dice = Random(1)

    def drawn(most: int) -> str:
        return "".join(dice.choice("ab") for _ in range(dice.randrange(most)))

    for _ in range(2000):
        both = drawn(80)
        one, other = both + drawn(60), both + drawn(60)
        expected = len(commonprefix([one, other])) if one[:16] == other[:16] else 0  # noqa: RUF071 -- texts, no paths
        assert _common(one, other) == expected
