from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import anyio
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.builtin import FirstFree
from swarmgate.chat import (
    ChatPrompt,
    Delta,
    GenerateRequest,
    Message,
    ModelCard,
    Sampling,
    TextPrompt,
    Tool,
    ToolCallDelta,
    ToolChoice,
    Usage,
)
from swarmgate.dispatch import Dispatcher, Route
from swarmgate.echo import EchoBackend, EchoOptions
from swarmgate.errors import EngineError
from swarmgate.nouns import Health
from swarmgate.places import Place
from swarmgate.transcript import Transcript

TEXT = "grüß dich, wie geht es 🙂 dir heute"
ASK = GenerateRequest(id="r", model="m", prompt=TextPrompt(text=TEXT))
READY = Health(ready=True)


def place(name: str = "a", fingerprint: str = "f", health: Health = READY) -> Place:
    return Place(name, EchoBackend(), ModelCard(name="m", fingerprint=fingerprint), health)


def begun(*pieces: Delta, request: GenerateRequest = ASK, at: Place | None = None) -> Transcript:
    transcript = Transcript(request)
    transcript.request_for(at or place())
    for piece in pieces:
        transcript.take(piece)
    return transcript


def test_before_the_first_token_anybody_may_begin_anew() -> None:
    """A seed alone is no part of an answer: the next one is asked for all of it."""
    transcript = begun(Delta(seed=5))
    assert not transcript.begun
    assert transcript.accepts(place("b", fingerprint="other"))
    assert transcript.request_for(place("b")).resume is None


def test_after_it_only_the_same_weights_may_go_on() -> None:
    """Equal names are not enough, equal fingerprints are; without one only the same backend."""
    transcript = begun(Delta(seed=5), Delta(text="g", token_ids=(1,)))
    assert transcript.accepts(place("a"))
    assert transcript.accepts(place("b"))
    assert not transcript.accepts(place("b", fingerprint="other"))
    assert not transcript.accepts(place("a", fingerprint="reloaded with something else"))
    unprinted = begun(Delta(seed=5), Delta(text="g", token_ids=(1,)), at=place(fingerprint=""))
    assert unprinted.accepts(place(fingerprint=""))
    assert not unprinted.accepts(place("b", fingerprint=""))


def test_of_several_that_were_asked_the_one_that_writes_is_the_author() -> None:
    """Whoever goes on must have its weights, not those of whoever was asked last."""
    transcript = Transcript(ASK)
    transcript.request_for(place("a"))
    transcript.request_for(place("b", fingerprint="other"))
    transcript.written_by(place("a"))
    transcript.take(Delta(text="g", token_ids=(1,), seed=5))
    assert transcript.accepts(place("c"))
    assert not transcript.accepts(place("b", fingerprint="other"))


def test_the_same_backend_is_waited_for_while_it_loads() -> None:
    """Its card may be empty until then."""
    transcript = begun(Delta(seed=5), Delta(text="g", token_ids=(1,)))
    loading = Health(ready=False, reason="loading")
    assert transcript.accepts(place("a", fingerprint="", health=loading))
    assert not transcript.accepts(place("b", fingerprint="", health=loading))


def test_the_rest_is_asked_for_with_all_tokens_and_the_seed() -> None:
    """The second engine gets every id in order, its own model's name, and the whole budget."""
    request = msgspec.structs.replace(ASK, model="alias", max_tokens=9)
    transcript = begun(Delta(seed=5), Delta(token_ids=(1, 2)), Delta(text="x", token_ids=(3,)), request=request)
    rest = transcript.request_for(place("b"))
    assert rest.resume is not None
    assert (rest.model, rest.max_tokens, rest.resume.token_ids, rest.resume.seed) == ("m", 9, (1, 2, 3), 5)


def test_text_without_tokens_cannot_be_resumed() -> None:
    """Plain servers give no ids; nor can a draw be repeated whose seed is unknown."""
    assert not begun(Delta(seed=5), Delta(text="g")).accepts(place())
    assert not begun(Delta(text="g", token_ids=(1,))).accepts(place())
    greedy = msgspec.structs.replace(ASK, sampling=Sampling(temperature=0))
    assert begun(Delta(text="g", token_ids=(1,)), request=greedy).accepts(place())
    seeded = msgspec.structs.replace(ASK, sampling=Sampling(seed=0))
    assert begun(Delta(text="g", token_ids=(1,)), request=seeded).accepts(place())


def test_usage_counts_the_whole_answer_once() -> None:
    """However the second engine counted, the completion is no shorter than the tokens that were sent."""
    transcript = begun(Delta(seed=5), Delta(text="ab", token_ids=(1, 2)))
    transcript.request_for(place("b"))
    assert transcript.take(Delta(seed=5)) is None
    transcript.take(Delta(text="c", token_ids=(3,)))
    last = transcript.take(Delta(finish="stop", usage=Usage(prompt_tokens=4, completion_tokens=1)))
    assert last is not None
    assert last.usage == Usage(prompt_tokens=4, completion_tokens=3)
    assert transcript.finished


class Mortal(EchoBackend):
    """An echo whose engine dies after so many pieces, once for each number, and comes back."""

    def __init__(self, *lives: int, options: EchoOptions, revives: bool = True) -> None:
        super().__init__(options)
        self.lives = list(lives)
        self.revives = revives
        self.state = READY
        self.died = anyio.Event()

    def health(self) -> Health:
        return self.state

    def revive(self) -> None:
        self.state, self.died = READY, anyio.Event()

    @asynccontextmanager
    async def generate(self, request: GenerateRequest) -> AsyncGenerator[AsyncIterator[Delta]]:
        async with super().generate(request) as deltas:
            yield self._until_death(deltas, self.lives.pop(0)) if self.lives else deltas

    async def _until_death(self, deltas: AsyncIterator[Delta], pieces: int) -> AsyncGenerator[Delta]:
        async for delta in deltas:
            if pieces == 0:
                self.state = Health(ready=False, reason="is being restarted", permanent=not self.revives)
                self.died.set()
                raise EngineError("was killed by SIGABRT")
            pieces -= 1
            yield delta


async def answer(dispatcher: Dispatcher, request: GenerateRequest = ASK) -> tuple[list[Delta], Route]:
    route = Route()
    with anyio.fail_after(20):
        async with dispatcher.generate(request, route=route) as deltas:
            return [delta async for delta in deltas], route


def whole(pieces: list[Delta]) -> tuple[str, list[int], Delta]:
    return "".join(piece.text for piece in pieces), [i for piece in pieces for i in piece.token_ids], pieces[-1]


OPTIONS = EchoOptions(model="m")


@pytest.mark.anyio
@pytest.mark.parametrize("pieces", range(10))
async def test_an_answer_is_the_same_wherever_its_engine_died(pieces: int) -> None:
    """Killed after any number of pieces and carried on elsewhere: same text, ids, end and usage."""
    expected, _ = await answer(Dispatcher(lambda: {"b": EchoBackend(OPTIONS)}, FirstFree()))
    backends = {"a": Mortal(pieces, options=OPTIONS), "b": EchoBackend(OPTIONS)}
    got, route = await answer(Dispatcher(lambda: backends, FirstFree()))
    assert whole(got) == whole(expected)
    assert whole(got)[0] == TEXT
    assert (route.worker, route.attempts, route.resumed) == ("b", 2, int(pieces > 1))


@pytest.mark.anyio
async def test_an_answer_waits_for_its_only_engine_and_goes_on() -> None:
    """The one backend dies twice in the middle; the answer goes on each time it is back."""
    backend = Mortal(3, 2, options=OPTIONS)
    dispatcher = Dispatcher(lambda: {"a": backend}, FirstFree())
    got = list[Delta]()

    async def ask() -> None:
        pieces, route = await answer(dispatcher)
        got.extend(pieces)
        assert (route.attempts, route.resumed) == (3, 2)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        for _ in range(2):
            with anyio.fail_after(10):
                await backend.died.wait()
            backend.revive()
    assert whole(got)[0] == TEXT


@pytest.mark.anyio
async def test_a_tool_call_is_carried_on() -> None:
    """A call that began on one engine ends on another: one id, one name, whole arguments."""
    arguments = '{"city": "Bad Salzuflen", "days": 3}'
    prompt = ChatPrompt(
        messages=(Message(role="user", content=arguments),),
        tools=(Tool(name="weather"),),
        tool_choice=ToolChoice(mode="required"),
    )
    backends = {"a": Mortal(3, options=OPTIONS), "b": EchoBackend(OPTIONS)}
    request = msgspec.structs.replace(ASK, prompt=prompt)
    pieces, _ = await answer(Dispatcher(lambda: backends, FirstFree()), request)
    calls = [call for piece in pieces for call in piece.tool_calls]
    assert calls[0] == ToolCallDelta(index=0, id="call_r", name="weather", arguments='{"city": ')
    assert [call.id for call in calls[1:]] == [None] * (len(calls) - 1)
    assert "".join(call.arguments for call in calls) == arguments
    assert pieces[-1].finish == "tool_calls"


@pytest.mark.anyio
async def test_an_answer_nobody_can_go_on_with_ends_with_the_reason() -> None:
    """Other weights may not go on, and one that failed for good is not waited for."""
    other = EchoBackend(EchoOptions(model="m"))
    other.models = lambda: (ModelCard(name="m", fingerprint="other"),)  # type: ignore[method-assign]  # other weights
    backends = {"a": Mortal(3, options=OPTIONS, revives=False), "b": other}
    said = list[str]()
    dispatcher = Dispatcher(lambda: backends, FirstFree())

    async def listen() -> None:
        async with dispatcher.generate(ASK) as deltas:
            async for delta in deltas:
                said.append(delta.text)

    with pytest.raises(EngineError, match="SIGABRT"), anyio.fail_after(5):
        await listen()
    assert "".join(said) == "grüß dich, "
    assert dispatcher.running("m") == 0


@pytest.mark.anyio
async def test_waiting_for_somebody_to_go_on_ends_in_time() -> None:
    """After resume_seconds the failure that cut the answer is raised."""
    backend = Mortal(3, options=OPTIONS)
    dispatcher = Dispatcher(lambda: {"a": backend}, FirstFree(), resume_seconds=0.1)
    with pytest.raises(EngineError, match="SIGABRT"), anyio.fail_after(5):
        await answer(dispatcher)


@given(
    st.text(max_size=40),
    st.lists(st.integers(0, 6), max_size=4),
    st.integers(0, 50),
    st.lists(st.text(min_size=1), max_size=2),
)
def test_any_chain_of_deaths_gives_the_same_answer(text: str, lives: list[int], limit: int, stop: list[str]) -> None:
    """Whatever is asked and wherever engines die, the pieces add up to the answer of one engine alone."""
    request = GenerateRequest(id="r", model="m", prompt=TextPrompt(text=text), max_tokens=limit, stop=tuple(stop))

    async def compare() -> None:
        expected, _ = await answer(Dispatcher(lambda: {"z": EchoBackend(OPTIONS)}, FirstFree()), request)
        backends = {f"{index}": Mortal(life, options=OPTIONS) for index, life in enumerate(lives)}
        everyone = {**backends, "z": EchoBackend(OPTIONS)}
        got, _ = await answer(Dispatcher(lambda: everyone, FirstFree(), failures=9), request)
        assert whole(got) == whole(expected)

    anyio.run(compare)
