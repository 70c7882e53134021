from __future__ import annotations

import math
import struct

import anyio
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.chat import (
    ChatPrompt,
    Delta,
    EmbedRequest,
    GenerateRequest,
    Message,
    Resume,
    TextPrompt,
    TokenizeRequest,
    TokenPrompt,
    Tool,
    ToolChoice,
    Usage,
)
from swarmgate.echo import EchoBackend, EchoOptions
from swarmgate.errors import ContextExceeded, RequestError
from swarmgate.split import SplitPlan

pytestmark = pytest.mark.anyio

CHAT = ChatPrompt(messages=(Message(role="system", content="be brief"), Message(role="user", content="grüß Gott, you")))
ASK = GenerateRequest(id="r", model="echo", prompt=CHAT)


async def answer(request: GenerateRequest, backend: EchoBackend | None = None) -> list[Delta]:
    async with (backend or EchoBackend()).generate(request) as deltas:
        return [delta async for delta in deltas]


def said(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


async def test_the_last_message_comes_back_word_by_word() -> None:
    """With its bytes as tokens, and honest counts."""
    deltas = await answer(ASK)
    assert [delta.text for delta in deltas] == ["", "grüß ", "Gott, ", "you", ""]
    assert bytes(i for delta in deltas for i in delta.token_ids).decode() == "grüß Gott, you"
    assert deltas[0].seed == 0
    assert deltas[-1].finish == "stop"
    assert deltas[-1].usage == Usage(prompt_tokens=25, completion_tokens=16)


async def test_prompts_of_text_and_tokens_come_back_too() -> None:
    """A completion repeats its prompt."""
    assert said(await answer(msgspec.structs.replace(ASK, prompt=TextPrompt(text="a b")))) == "a b"
    assert said(await answer(msgspec.structs.replace(ASK, prompt=TokenPrompt(ids=(104, 105))))) == "hi"
    with pytest.raises(RequestError, match="token id 256 is not in the vocabulary of 256"):
        await answer(msgspec.structs.replace(ASK, prompt=TokenPrompt(ids=(256,))))


async def test_limits_and_stops_are_kept() -> None:
    """The answer ends before a stop string, or at the limit, half characters unsaid."""
    stopped = await answer(msgspec.structs.replace(ASK, stop=("you", "Gott")))
    assert (said(stopped), stopped[-1].finish, stopped[-1].stop) == ("grüß ", "stop", "Gott")
    assert (await answer(ASK))[-1].stop == ""
    limited = await answer(msgspec.structs.replace(ASK, max_tokens=5))
    assert (said(limited), limited[-1].finish) == ("grü", "length")
    assert limited[-1].usage == Usage(prompt_tokens=25, completion_tokens=5)
    assert said(await answer(msgspec.structs.replace(ASK, max_tokens=0))) == ""


async def test_a_prompt_too_long_is_refused_with_both_numbers() -> None:
    """And an answer ends where the context does."""
    with pytest.raises(ContextExceeded, match="the prompt has 25 tokens, but the context has 20"):
        await answer(ASK, EchoBackend(EchoOptions(context_length=20)))
    cut = await answer(ASK, EchoBackend(EchoOptions(context_length=30)))
    assert cut[-1].finish == "length"


async def test_log_probabilities_are_certain() -> None:
    """One for each token, with the alternatives that were asked for: itself."""
    deltas = await answer(msgspec.structs.replace(ASK, logprobs=1))
    first = deltas[1].logprobs[0]
    assert (first.id, first.data, first.logprob, len(first.top)) == (ord("g"), b"g", 0.0, 1)
    assert sum(len(delta.logprobs) for delta in deltas) == 16
    assert not (await answer(msgspec.structs.replace(ASK, logprobs=0)))[1].logprobs[0].top


async def test_a_forced_tool_is_called() -> None:
    """With the last message as arguments, if it is an object."""
    tools = (Tool(name="a"), Tool(name="b"))
    choice = ToolChoice(mode="required", name="b")
    prompt = msgspec.structs.replace(CHAT, tools=tools, tool_choice=choice)
    deltas = await answer(msgspec.structs.replace(ASK, prompt=prompt))
    (call,) = [call for delta in deltas for call in delta.tool_calls]
    assert (call.id, call.name, call.arguments) == ("call_r", "b", "{}")
    assert deltas[-1].finish == "tool_calls"


@given(text=st.text(min_size=1), cut=st.integers(0, 400), limit=st.integers(0, 60))
async def test_an_answer_goes_on_where_it_stopped(text: str, cut: int, limit: int) -> None:
    """Cut after any piece, the rest is what would have followed."""
    request = msgspec.structs.replace(ASK, prompt=TextPrompt(text=text), max_tokens=limit)
    whole = await answer(request)
    before = whole[: 1 + cut % len(whole)]
    ids = tuple(i for delta in before for i in delta.token_ids)
    rest = await answer(msgspec.structs.replace(request, resume=Resume(token_ids=ids, seed=0)))
    if before[-1].finish is None:
        assert said(before) + said(rest) == said(whole)
        assert rest[-1] == whole[-1]


async def test_embeddings_are_unit_vectors() -> None:
    """The same text gives the same vector, another one another, shorter ones are of unit length too."""
    request = EmbedRequest(id="e", model="echo", inputs=("a", "b", (97,)), dimensions=8)
    embeddings = await EchoBackend().embed(request)
    first, second, third = (struct.unpack("<8f", vector) for vector in embeddings.vectors)
    assert math.hypot(*first) == pytest.approx(1)
    assert first == third
    assert first != second
    assert embeddings.usage.prompt_tokens == 3
    with pytest.raises(RequestError, match="expected at most 32 dimensions, found 33"):
        await EchoBackend().embed(msgspec.structs.replace(request, dimensions=33))
    with pytest.raises(ContextExceeded, match="input 1 has 3 tokens"):
        await EchoBackend(EchoOptions(context_length=2)).embed(msgspec.structs.replace(request, inputs=("a", "abc")))


async def test_tokens_are_bytes() -> None:
    """Cut and joined, text is the same; a chat has as many as an answer to it counts."""
    backend = EchoBackend()
    chat = await backend.tokenize(TokenizeRequest(model="echo", chat=CHAT))
    assert len(chat) == 25
    tokens = await backend.tokenize(TokenizeRequest(model="echo", text="ü"))
    assert [token.data for token in tokens] == [b"\xc3", b"\xbc"]
    assert (await backend.detokenize("echo", [token.id for token in tokens])).decode() == "ü"


async def test_loading_takes_as_long_as_it_is_told() -> None:
    """Its health shows progress, then ready; without a pretence it is ready from the start."""
    assert EchoBackend().health().ready
    backend, seen = EchoBackend(EchoOptions(load_seconds=0.2)), list[float | None]()
    assert not backend.health().ready
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(backend.load, SplitPlan())
        while not backend.health().ready:
            seen.append(backend.health().progress)
            await anyio.sleep(0.01)
    assert seen == sorted(seen, key=lambda progress: progress or 0)
    assert len(set(seen)) > 2
