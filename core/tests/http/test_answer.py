from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import msgspec
import pytest
from swarmgate.chat import Delta, GenerateRequest, Usage
from swarmgate.echo import EchoBackend, EchoOptions
from swarmgate.errors import ContextExceeded, EngineError, Hung, RequestError
from swarmgate.http.app import application
from swarmgate.http.door import Door
from visitor import Visitor

pytestmark = pytest.mark.anyio
MakeDoor = Callable[..., Door]


class Halting(EchoBackend):
    """Says one word, then waits for ever; tells when it was let go."""

    def __init__(self, *, words: int = 1) -> None:
        super().__init__()
        self.words = words
        self.began = anyio.Event()
        self.let_go = anyio.Event()

    @asynccontextmanager
    async def generate(self, request: GenerateRequest) -> AsyncGenerator[AsyncIterator[Delta]]:
        async def deltas() -> AsyncIterator[Delta]:
            for _ in range(self.words):
                yield Delta(text="word ", token_ids=(1,), seed=1)
            self.began.set()
            await anyio.sleep_forever()

        try:
            yield deltas()
        finally:
            self.let_go.set()


class Failing(EchoBackend):
    """Raises *error*, after a word or before."""

    def __init__(self, error: Exception, *, words: int = 0) -> None:
        super().__init__()
        self._error, self._words = error, words

    @asynccontextmanager
    async def generate(self, request: GenerateRequest) -> AsyncGenerator[AsyncIterator[Delta]]:
        async def deltas() -> AsyncIterator[Delta]:
            for _ in range(self._words):
                yield Delta(text="word ", token_ids=(1,), seed=1)
            raise self._error

        yield deltas()


class Dying(EchoBackend):
    """Says one word, and dies of it when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.dies = anyio.Event()

    @asynccontextmanager
    async def generate(self, request: GenerateRequest) -> AsyncGenerator[AsyncIterator[Delta]]:
        async def deltas() -> AsyncIterator[Delta]:
            yield Delta(text="word ", token_ids=(1,), seed=1)
            await self.dies.wait()
            raise EngineError("it died")

        yield deltas()


def chat(text: str = "hello there", **fields: Any) -> bytes:
    return msgspec.json.encode({"messages": [{"role": "user", "content": text}], **fields})


async def test_an_answer_comes_whole(make_door: MakeDoor) -> None:
    """Without stream the answer is one document, with its length."""
    visitor = await Visitor(body=[chat()]).visit(application(make_door(EchoBackend())))
    assert visitor.status == 200
    assert visitor.answered["content-type"] == "application/json"
    assert int(visitor.answered["content-length"]) == len(visitor.content)
    assert visitor.json["choices"][0]["message"]["content"] == "hello there"
    assert visitor.answered["x-gateway-worker"] == "b0"
    assert visitor.answered["x-gateway-attempts"] == "1"
    assert int(visitor.answered["x-gateway-queue-ms"]) >= 0


async def test_an_answer_comes_in_events(make_door: MakeDoor) -> None:
    """With stream each piece is an event, and nothing on the way may keep them back."""
    visitor = await Visitor(body=[chat(stream=True)]).visit(application(make_door(EchoBackend())))
    assert (
        visitor.answered.items()
        >= {
            "content-type": "text/event-stream; charset=utf-8",
            "cache-control": "no-cache",
            "x-accel-buffering": "no",
        }.items()
    )
    texts = [event["choices"][0]["delta"].get("content", "") for event in visitor.events]
    assert texts == ["hello ", "there", ""]
    assert visitor.content.endswith(b"data: [DONE]\n\n")
    assert visitor.complete


async def test_nothing_is_sent_before_the_first_piece(make_door: MakeDoor) -> None:
    """The head waits for the first piece, so that an error can still choose the status."""
    backend = Halting(words=0)
    visitor = Visitor(body=[chat(stream=True)])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(visitor.visit, application(make_door(backend)))
        await backend.began.wait()
        assert visitor.messages == []
        visitor.hang_up()


@pytest.mark.parametrize("stream", [True, False])
async def test_hanging_up_stops_the_work(make_door: MakeDoor, stream: bool) -> None:
    """When the client goes, the backend is let go at once, and the visit is counted as given up."""
    backend = Halting()
    door = make_door(backend)
    visitor = Visitor(body=[chat(stream=stream)])
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(visitor.visit, application(door))
            await backend.began.wait()
            visitor.hang_up()
            await backend.let_go.wait()
    assert not visitor.complete
    assert door.working == 0
    assert (
        b'gateway_requests_total{code="499",model="echo",route="/v1/chat/completions"} 1.0' in await door.metrics.text()
    )


async def test_silence_is_filled_with_comments(make_door: MakeDoor) -> None:
    """While no piece comes a stream sends comments, the first of them with the head."""
    visitor = Visitor(body=[chat(stream=True)])
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(visitor.visit, application(make_door(Halting(words=0), ping_seconds=0.01)))
            await visitor.until(": ping\n\n: ping\n\n: ping\n\n")
            visitor.hang_up()
    assert visitor.status == 200
    assert visitor.events == []


async def test_a_whole_answer_is_not_pinged(make_door: MakeDoor) -> None:
    """A document has no place for comments, and nobody is busy with not sending any."""
    backend = EchoBackend(EchoOptions(delay_seconds=0.05))
    visitor = Visitor(body=[chat()])
    await visitor.visit(application(make_door(backend, ping_seconds=0.01)))
    assert b"ping" not in visitor.content
    assert visitor.json["usage"]["completion_tokens"] == 11
    assert visitor.asked < 100


@pytest.mark.parametrize("stream", [True, False])
async def test_an_early_error_chooses_the_status(make_door: MakeDoor, stream: bool) -> None:
    """Before anything was sent, an error is a status and a document, streaming or not."""
    app = application(make_door(Failing(ContextExceeded("the prompt has 9 tokens, the context holds 8"))))
    visitor = await Visitor(body=[chat(stream=stream)]).visit(app)
    assert visitor.status == 400
    assert visitor.json["error"]["code"] == "context_length_exceeded"
    assert visitor.answered["content-type"] == "application/json"


async def test_a_late_error_is_an_event(make_door: MakeDoor) -> None:
    """After the head an error is the stream's last event, without [DONE], and the stream ends."""
    door = make_door(Failing(RequestError("no"), words=2))
    visitor = await Visitor(body=[chat(stream=True)]).visit(application(door))
    assert visitor.status == 200
    assert visitor.events[-1]["error"]["message"] == "no"
    assert b"[DONE]" not in visitor.content
    assert visitor.complete
    assert b'gateway_streams_truncated_total{model="echo"} 1.0' in await door.metrics.text()


async def test_one_failed_choice_ends_them_all(make_door: MakeDoor) -> None:
    """If one of several answers cannot be written, the client gets that one error, not a group."""
    app = application(make_door(Failing(ContextExceeded("too long"))))
    visitor = await Visitor(body=[chat(n=3)]).visit(app)
    assert visitor.status == 400
    assert visitor.json["error"]["message"] == "too long"


async def test_choices_are_written_at_the_same_time(make_door: MakeDoor) -> None:
    """All n answers begin before any has ended, each event with its index."""

    class Meeting(EchoBackend):
        """Writes nothing before three answers have begun."""

        def __init__(self) -> None:
            super().__init__(EchoOptions(slots=3))
            self.begun = 0
            self.met = anyio.Event()

        @asynccontextmanager
        async def generate(self, request: GenerateRequest) -> AsyncGenerator[AsyncIterator[Delta]]:
            self.begun += 1
            if self.begun == 3:
                self.met.set()
            await self.met.wait()
            async with super().generate(request) as deltas:
                yield deltas

    with anyio.fail_after(5):
        visitor = await Visitor(body=[chat(n=3, stream=True)]).visit(application(make_door(Meeting())))
    indexes = [event["choices"][0]["index"] for event in visitor.events]
    assert sorted(indexes) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    whole = await Visitor(body=[chat(n=3)]).visit(application(make_door(EchoBackend())))
    assert [choice["index"] for choice in whole.json["choices"]] == [0, 1, 2]
    assert whole.json["usage"]["prompt_tokens"] == 11
    assert whole.json["usage"]["completion_tokens"] == 33


async def test_an_interrupted_answer_says_so(make_door: MakeDoor) -> None:
    """When the gateway stops, a stream under way ends with an error, and one not begun with 503."""
    began, waiting = Halting(), Halting(words=0)
    for backend, stream in ((began, True), (waiting, False)):
        door = make_door(backend)
        visitor = Visitor(body=[chat(stream=stream)])
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(visitor.visit, application(door))
                await backend.began.wait()
                if stream:
                    await visitor.until("word")
                assert door.interrupt() == 1
        assert visitor.complete
        error = visitor.events[-1]["error"] if stream else visitor.json["error"]
        assert error["code"] == "shutting_down"
        assert visitor.status == (200 if stream else 503)


async def test_an_answer_without_an_end_is_an_error(make_door: MakeDoor) -> None:
    """A backend that just stops is told as an engine's failure, never as an answer."""

    class Cut(EchoBackend):
        @asynccontextmanager
        async def generate(self, request: GenerateRequest) -> AsyncGenerator[AsyncIterator[Delta]]:
            async def deltas() -> AsyncIterator[Delta]:
                yield Delta(text="word", token_ids=(1,), seed=1)

            yield deltas()

    visitor = await Visitor(body=[chat()]).visit(application(make_door(Cut())))
    assert visitor.status == 502
    assert visitor.json["error"]["code"] == EngineError.code


async def test_an_echo_of_token_ids_is_read_first(make_door: MakeDoor) -> None:
    """With echo, a prompt of token ids comes back as its text."""
    body = msgspec.json.encode({"prompt": [[104, 105], [33]], "echo": True, "max_tokens": 1})
    visitor = await Visitor(path="/v1/completions", body=[body]).visit(application(make_door(EchoBackend())))
    assert [choice["text"] for choice in visitor.json["choices"]] == ["hih", "!!"]


async def test_tokens_are_counted(make_door: MakeDoor) -> None:
    """Tokens, the first piece and the queue show up in the metrics."""

    class Cached(EchoBackend):
        @asynccontextmanager
        async def generate(self, request: GenerateRequest) -> AsyncGenerator[AsyncIterator[Delta]]:
            async def deltas() -> AsyncIterator[Delta]:
                yield Delta(text="a", token_ids=(1, 2), seed=1)
                yield Delta(finish="stop", usage=Usage(prompt_tokens=9, completion_tokens=2, cached_tokens=5))

            yield deltas()

    door = make_door(Cached())
    await Visitor(body=[chat()]).visit(application(door))
    text = (await door.metrics.text()).decode()
    assert 'gateway_tokens_total{kind="prompt",model="echo"} 9.0' in text
    assert 'gateway_tokens_total{kind="completion",model="echo"} 2.0' in text
    assert 'gateway_prefix_hit_tokens_total{model="echo"} 5.0' in text
    assert 'gateway_ttft_seconds_count{model="echo"} 1.0' in text
    assert 'gateway_tpot_seconds_count{model="echo"} 1.0' in text
    assert 'gateway_queue_wait_seconds_count{model="echo"} 1.0' in text


async def test_the_way_of_an_answer_is_told_unless_switched_off(make_door: MakeDoor) -> None:
    """A failure that was made good shows in the whole answer's head; route_headers = false leaves all of it out."""
    backends = (Failing(EngineError("it died")), EchoBackend())
    told = (await Visitor(body=[chat()]).visit(application(make_door(*backends)))).answered
    assert (told["x-gateway-worker"], told["x-gateway-attempts"], told["x-gateway-resumed"]) == ("b1", "2", "0")
    assert told["x-gateway-route-reason"]
    silent = (await Visitor(body=[chat()]).visit(application(make_door(*backends, route_headers=False)))).answered
    assert [name for name in silent if name.startswith("x-gateway")] == []
    assert "x-request-id" in silent


async def test_a_stream_tells_at_its_end_how_often_it_was_carried_on(make_door: MakeDoor) -> None:
    """Its head was out before; a comment has the final number, and the whole answer's head has it at once."""
    dying = Dying()
    visitor = Visitor(body=[chat(stream=True)])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(visitor.visit, application(make_door(dying, EchoBackend())))
        await visitor.until("word")
        dying.dies.set()
    assert visitor.answered["x-gateway-resumed"] == "0"
    assert b"\n\n: x-gateway-attempts=2 x-gateway-resumed=1 x-gateway-worker=" in visitor.content
    assert visitor.content.endswith(b"data: [DONE]\n\n")
    whole = await Visitor(body=[chat()]).visit(
        application(make_door(Failing(EngineError("x"), words=1), EchoBackend()))
    )
    assert whole.answered["x-gateway-resumed"] == "1"


async def test_backends_that_hang_are_counted(make_door: MakeDoor) -> None:
    """An attempt that was given up since nothing came of it shows in the metrics, also where another one answered."""
    door = make_door(Failing(Hung("b0 says nothing")), EchoBackend())
    visitor = await Visitor(body=[chat()]).visit(application(door))
    assert visitor.answered["x-gateway-attempts"] == "2"
    text = (await door.metrics.text()).decode()
    assert 'gateway_hangs_total{model="echo"} 1.0' in text
    assert 'gateway_retries_total{model="echo"} 1.0' in text
    assert "gateway_hedges_total{" not in text


async def test_the_last_piece_and_the_end_go_out_together(make_door: MakeDoor) -> None:
    """They come in one write where nothing is left to be waited for between them."""
    visitor = await Visitor(body=[chat(stream=True)]).visit(application(make_door(EchoBackend())))
    bodies = [message["body"] for message in visitor.messages if message["type"] == "http.response.body"]
    assert b'"finish_reason":"stop"' in bodies[-1]
    assert bodies[-1].endswith(b"data: [DONE]\n\n")


async def test_what_is_being_written_can_be_watched(make_door: MakeDoor) -> None:
    """The tokens so far and since when, as long as it goes on."""
    backend = Halting(words=3)
    door = make_door(backend)
    visitor = Visitor(body=[chat(stream=True)])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(visitor.visit, application(door))
        await backend.began.wait()
        await anyio.wait_all_tasks_blocked()
        (account,) = door.records.lately(0, now=anyio.current_time())
        assert (account.usage.completion_tokens, account.writing_seconds is not None) == (3, True)
        assert [node.written for node in door.dispatcher.nodes()] == [3]
        visitor.hang_up()
    assert door.records.lately(0, now=anyio.current_time()) == ()
