"""Has answers written and sends them piece by piece, or all at once."""

from __future__ import annotations

import anyio

from swarmgate.chat import GenerateRequest, TextPrompt, TokenPrompt
from swarmgate.dispatch import Route
from swarmgate.errors import EngineError
from swarmgate.http.door import Door
from swarmgate.http.reply import Reply
from swarmgate.http.visit import current
from swarmgate.http.wire.asked import Generating


class Answer:
    """All the choices of one request, written at the same time."""

    def __init__(self, door: Door, asked: Generating, reply: Reply) -> None:
        self._door = door
        self._asked = asked
        self._reply = reply
        self._visit = current()
        self._began = anyio.current_time()
        self._last = b""

    def __repr__(self) -> str:
        return f"<Answer {self._visit.id} of {len(self._asked.requests)}>"

    async def write(self) -> None:
        """Write it.

        Raises:
            SwarmgateError: one of the choices cannot be written; the others are given up.

        """
        self._visit.routes = [Route() for _ in self._asked.requests]
        self._visit.so_far = lambda: self._asked.form.usage
        self._reply.streams = self._asked.stream
        if self._asked.failure is not None:
            self._reply.failure = self._asked.failure
        failed = False
        try:
            await self._write_all()
        except Exception:
            failed = True
            raise
        finally:
            self._count(failed=failed)

    async def _write_all(self) -> None:
        asked = self._asked
        if asked.echo is not None:
            asked.echo(tuple([await self._prompt_text(request) for request in asked.requests]))
        if len(asked.requests) == 1:
            await self._choice(0, asked.requests[0], self._visit.routes[0])
        else:
            async with anyio.create_task_group() as choices:
                for index, request in enumerate(asked.requests):
                    choices.start_soon(self._choice, index, request, self._visit.routes[index])
        end = asked.form.close()
        if asked.stream:
            await self._reply.write(self._last + end, last=True)
        else:
            await self._reply.document(end)

    async def _choice(self, index: int, request: GenerateRequest, route: Route) -> None:
        take, write, visit = self._asked.form.take, self._reply.write, self._visit
        finished, alone = False, len(self._asked.requests) == 1
        async with self._door.dispatcher.generate(request, route=route, asker=visit.asker) as deltas:
            async for delta in deltas:
                events: list[bytes] = []
                for each in (delta, *deltas.ready()):  # what has come together goes out together
                    if visit.first_at is None and (each.text or each.reasoning or each.tool_calls):
                        visit.first_at = anyio.current_time()
                    finished = each.finish is not None
                    events.append(take(index, each))
                piece = b"".join(events)
                if finished and alone and deltas.done:
                    self._last = piece  # the end follows at once: one write for both
                elif piece:
                    await write(piece)
        if not finished:
            raise EngineError("the answer ended before it was finished")

    async def _prompt_text(self, request: GenerateRequest) -> str:
        match request.prompt:
            case TextPrompt(text=text):
                return text
            case TokenPrompt(ids=ids):
                data = await self._door.dispatcher.detokenize(request.model, ids)
                return data.decode("utf-8", "replace")
            case _:
                return ""

    def _count(self, *, failed: bool) -> None:
        visit, metrics = self._visit, self._door.metrics
        visit.usage, visit.so_far = self._asked.form.usage, None
        for route in visit.routes:
            if route.model:
                metrics.attempted(
                    route.model,
                    queue_seconds=route.queue_seconds,
                    attempts=route.attempts,
                    resumed=route.resumed,
                    hung=route.hung,
                    hedged=route.hedged,
                    failed=failed,
                )
        if visit.first_at is not None:
            metrics.wrote(
                visit.model,
                visit.usage,
                first_seconds=visit.first_at - self._began,
                rest_seconds=anyio.current_time() - visit.first_at,
            )
