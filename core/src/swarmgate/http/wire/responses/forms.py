"""Pieces of an answer, made into the items and events of a response, or into one document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from msgspec.structs import replace

from swarmgate.chat import Delta, Finish, TokenLogprob, ToolCallDelta, Usage
from swarmgate.http.wire.errors import Fault
from swarmgate.http.wire.heading import Tally, encode
from swarmgate.http.wire.responses.documents import (
    IncompleteDetails,
    ItemStatus,
    ResponseDocument,
    ResponseError,
    response_usage,
)
from swarmgate.http.wire.responses.events import (
    ResponseCompleted,
    ResponseCreated,
    ResponseErrorEvent,
    ResponseFailed,
    ResponseIncomplete,
    ResponseInProgress,
    sent,
)
from swarmgate.http.wire.responses.writing import Call, Message, Numbers, Thoughts, Writing

_CLIENTS_FAULT = range(400, 500)
_TOO_MANY = 429


class ResponseEvents:
    """Server-sent events.  *begun* is the response before its first word; *keep* is given it when it is over."""

    def __init__(self, begun: ResponseDocument, *, keep: Callable[[ResponseDocument], None] | None = None) -> None:
        self._begun = begun
        self._keep = keep
        self._numbers = Numbers()
        self._items: list[Writing] = []
        self._open: Message | Thoughts | None = None
        self._calls: dict[int, Call] = {}
        self._tally = Tally(1, per_prompt=1)
        self._thought = 0
        self._held: tuple[TokenLogprob, ...] = ()
        self._finish: Finish | None = None
        self._told = False

    @property
    def usage(self) -> Usage:
        """Return the tokens counted so far."""
        return self._tally.usage

    def take(self, choice: int, delta: Delta) -> bytes:
        """Return the events for a piece; none for one that only has tokens."""
        self._tally.take(choice, delta)
        if delta.finish is not None:
            self._finish = delta.finish
        if not (delta.text or delta.reasoning or delta.tool_calls):
            self._note(delta)
            return b""
        events = self._opening()
        if delta.reasoning:
            self._thought += len(delta.token_ids)
            events += self._turn_to(Thoughts) + self._add(delta.reasoning)
        if delta.text:
            events += self._turn_to(Message)
        self._note(delta)
        if delta.text:
            events += self._add(delta.text)
        for piece in delta.tool_calls:
            events += self._call(piece)
        return events

    def close(self) -> bytes:
        """Return the ends of all items, and of the response."""
        events = self._opening()
        if not self._items:
            events += self._turn_to(Message)
        status: ItemStatus = "completed" if self._finish in {"stop", "tool_calls"} else "incomplete"
        events += self._end_open(status) + self._end_calls(status)
        whole = replace(
            self._begun,
            status=status,
            output=[item.item(status) for item in self._items],
            usage=response_usage(self.usage, thought=self._thought),
        )
        if status == "incomplete":
            reason = "content_filter" if self._finish == "content_filter" else "max_output_tokens"
            whole.incomplete_details = IncompleteDetails(reason=reason)
        if self._keep is not None:
            self._keep(whole)
        last = ResponseCompleted if status == "completed" else ResponseIncomplete
        return events + sent(last(sequence_number=self._numbers.next(), response=whole))

    def fail(self, fault: Fault) -> bytes:
        """Return what ends a stream that cannot go on: the error, and what there is of the response."""
        events = self._opening()
        error = ResponseErrorEvent(
            sequence_number=self._numbers.next(), code=fault.code, message=fault.message, param=fault.param
        )
        failed = replace(
            self._begun,
            status="failed",
            output=[item.item("incomplete") for item in self._items],
            error=ResponseError(code=_code(fault), message=fault.message),
        )
        return events + sent(error) + sent(ResponseFailed(sequence_number=self._numbers.next(), response=failed))

    def _opening(self) -> bytes:
        if self._told:
            return b""
        self._told = True
        number = self._numbers.next
        created = sent(ResponseCreated(sequence_number=number(), response=self._begun))
        return created + sent(ResponseInProgress(sequence_number=number(), response=self._begun))

    def _note(self, delta: Delta) -> None:
        """Keep the log-probabilities of text, also of what is no text yet, such as half a character."""
        if not delta.logprobs or delta.reasoning or delta.tool_calls:
            return
        if isinstance(self._open, Message):
            self._open.note((*self._held, *delta.logprobs))
            self._held = ()
        elif not self._items:
            self._held += delta.logprobs

    def _add(self, text: str) -> bytes:
        return self._open.add(text) if self._open is not None else b""

    def _turn_to(self, kind: type[Message | Thoughts]) -> bytes:
        """Begin an item of that *kind*, unless one is being written."""
        if isinstance(self._open, kind):
            return b""
        events = self._end_open("completed")
        self._open = kind(self._name(kind.prefix), len(self._items), self._numbers)
        self._items.append(self._open)
        return events + self._open.begin()

    def _call(self, piece: ToolCallDelta) -> bytes:
        """Take a piece of a call.  Calls end together, since their pieces may come by turns."""
        events = self._end_open("completed")
        call = self._calls.get(piece.index)
        if call is None:
            call = Call(self._name(Call.prefix), len(self._items), self._numbers)
            call.call_id, call.function = piece.id or call.id, piece.name or ""
            self._calls[piece.index] = call
            self._items.append(call)
            events += call.begin()
        return events + (call.add(piece.arguments) if piece.arguments else b"")

    def _end_open(self, status: ItemStatus) -> bytes:
        item, self._open = self._open, None
        return item.end(status) if item is not None else b""

    def _end_calls(self, status: ItemStatus) -> bytes:
        calls, self._calls = self._calls, {}
        return b"".join(call.end(status) for call in calls.values())

    def _name(self, prefix: str) -> str:
        return f"{prefix}_{self._begun.id.partition('_')[2]}_{len(self._items)}"


class WholeResponse:
    """One document, of what would have been events."""

    def __init__(self, begun: ResponseDocument, *, keep: Callable[[ResponseDocument], None] | None = None) -> None:
        self._keep = keep
        self._whole = begun
        self._events = ResponseEvents(begun, keep=self._take_whole)

    @property
    def usage(self) -> Usage:
        """Return the tokens counted so far."""
        return self._events.usage

    def take(self, choice: int, delta: Delta) -> bytes:
        """Keep a piece; nothing is sent before all are there."""
        self._events.take(choice, delta)
        return b""

    def close(self) -> bytes:
        """Return the document."""
        self._events.close()
        return encode(self._whole)

    def _take_whole(self, whole: ResponseDocument) -> None:
        self._whole = whole
        if self._keep is not None:
            self._keep(whole)


def _code(fault: Fault) -> Literal["server_error", "rate_limit_exceeded", "invalid_prompt"]:
    if fault.status == _TOO_MANY:
        return "rate_limit_exceeded"
    return "invalid_prompt" if fault.status in _CLIENTS_FAULT else "server_error"
