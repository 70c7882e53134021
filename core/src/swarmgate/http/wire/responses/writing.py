"""Items of a response while they are written, and the events that say so."""

from __future__ import annotations

from typing import ClassVar, Protocol

from swarmgate.chat import TokenLogprob
from swarmgate.http.wire.chat_documents import TokenLogprobDocument, chat_logprobs
from swarmgate.http.wire.heading import encode
from swarmgate.http.wire.responses.documents import (
    FunctionCallItem,
    ItemStatus,
    OutputItem,
    OutputMessage,
    OutputText,
    ReasoningItem,
    ReasoningText,
)
from swarmgate.http.wire.responses.events import (
    ArgumentsDelta,
    ArgumentsDone,
    ItemAdded,
    ItemDone,
    OutputTextDelta,
    OutputTextDone,
    PartAdded,
    PartDone,
    ReasoningDelta,
    ReasoningDone,
    sent,
)


class Numbers:
    """The numbers of a response's events, in order."""

    def __init__(self) -> None:
        self._last = -1

    def next(self) -> int:
        """Return the next one."""
        self._last += 1
        return self._last


class Writing(Protocol):
    """One item, from its beginning to its end."""

    def item(self, status: ItemStatus) -> OutputItem:
        """Return it as far as it is written, in that *status* unless it has ended in another."""
        ...


class _Item:
    """What all have in common."""

    prefix: ClassVar[str]

    def __init__(self, id: str, index: int, numbers: Numbers) -> None:  # noqa: A002  # the API's word
        self.id = id
        self._index = index
        self._numbers = numbers
        self._pieces: list[str] = []
        self._ended: ItemStatus | None = None

    @property
    def _said(self) -> str:
        return "".join(self._pieces)


class Message(_Item):
    """Text."""

    prefix = "msg"

    def __init__(self, id: str, index: int, numbers: Numbers) -> None:  # noqa: A002  # the API's word
        super().__init__(id, index, numbers)
        self._logprobs: list[TokenLogprobDocument] = []
        self._news = 0
        blank = encode(OutputTextDelta(sequence_number=0, item_id=id, output_index=index, content_index=0, delta=""))
        #: What is the same in every piece: all but its number, its text and their log-probabilities.
        front, number, rest = blank.partition(b'"sequence_number":0')
        middle, text, _ = rest.partition(b'"delta":""')
        self._front = b"event: response.output_text.delta\ndata: " + front + number[:-1]
        self._middle = middle + text[:-2]

    def begin(self) -> bytes:
        """Return the events that say it begins."""
        item = ItemAdded(
            sequence_number=self._numbers.next(),
            output_index=self._index,
            item=OutputMessage(id=self.id, status="in_progress", content=[]),
        )
        part = PartAdded(
            sequence_number=self._numbers.next(),
            item_id=self.id,
            output_index=self._index,
            content_index=0,
            part=OutputText(text=""),
        )
        return sent(item) + sent(part)

    def note(self, logprobs: tuple[TokenLogprob, ...]) -> None:
        """Keep log-probabilities; they are told with the next text."""
        if logprobs:
            self._logprobs += documents.content if (documents := chat_logprobs(logprobs)) else []

    def add(self, text: str) -> bytes:
        """Return the event of a piece of it."""
        self._pieces.append(text)
        fresh, self._news = self._logprobs[self._news :], len(self._logprobs)
        return b'%b%d%b%b,"logprobs":%b}\n\n' % (
            self._front,
            self._numbers.next(),
            self._middle,
            encode(text),
            encode(fresh) if fresh else b"[]",
        )

    def end(self, status: ItemStatus) -> bytes:
        """Return the events that say it is whole, in that *status*."""
        self._ended = status
        text = OutputTextDone(
            sequence_number=self._numbers.next(),
            item_id=self.id,
            output_index=self._index,
            content_index=0,
            text=self._said,
            logprobs=self._logprobs,
        )
        part = PartDone(
            sequence_number=self._numbers.next(),
            item_id=self.id,
            output_index=self._index,
            content_index=0,
            part=self._part,
        )
        item = ItemDone(sequence_number=self._numbers.next(), output_index=self._index, item=self.item(status))
        return sent(text) + sent(part) + sent(item)

    def item(self, status: ItemStatus) -> OutputMessage:
        """Return it as far as it is written."""
        return OutputMessage(id=self.id, status=self._ended or status, content=[self._part])

    @property
    def _part(self) -> OutputText:
        return OutputText(text=self._said, logprobs=self._logprobs)


class Thoughts(_Item):
    """What the model thinks before it answers."""

    prefix = "rs"

    def begin(self) -> bytes:
        """Return the events that say it begins."""
        item = ItemAdded(
            sequence_number=self._numbers.next(),
            output_index=self._index,
            item=ReasoningItem(id=self.id, status="in_progress", content=[]),
        )
        part = PartAdded(
            sequence_number=self._numbers.next(),
            item_id=self.id,
            output_index=self._index,
            content_index=0,
            part=ReasoningText(text=""),
        )
        return sent(item) + sent(part)

    def add(self, text: str) -> bytes:
        """Return the event of a piece of it."""
        self._pieces.append(text)
        return sent(
            ReasoningDelta(
                sequence_number=self._numbers.next(),
                item_id=self.id,
                output_index=self._index,
                content_index=0,
                delta=text,
            )
        )

    def end(self, status: ItemStatus) -> bytes:
        """Return the events that say it is whole, in that *status*."""
        self._ended = status
        said = self._said
        text = ReasoningDone(
            sequence_number=self._numbers.next(),
            item_id=self.id,
            output_index=self._index,
            content_index=0,
            text=said,
        )
        part = PartDone(
            sequence_number=self._numbers.next(),
            item_id=self.id,
            output_index=self._index,
            content_index=0,
            part=ReasoningText(text=said),
        )
        item = ItemDone(sequence_number=self._numbers.next(), output_index=self._index, item=self.item(status))
        return sent(text) + sent(part) + sent(item)

    def item(self, status: ItemStatus) -> ReasoningItem:
        """Return it as far as it is written."""
        return ReasoningItem(id=self.id, status=self._ended or status, content=[ReasoningText(text=self._said)])


class Call(_Item):
    """A call of a function; *call_id* and *function* are known from its first piece."""

    prefix = "fc"
    call_id = ""
    function = ""

    def begin(self) -> bytes:
        """Return the events that say it begins."""
        item = self.item("in_progress")
        return sent(ItemAdded(sequence_number=self._numbers.next(), output_index=self._index, item=item))

    def add(self, arguments: str) -> bytes:
        """Return the event of a piece of its arguments."""
        self._pieces.append(arguments)
        return sent(
            ArgumentsDelta(
                sequence_number=self._numbers.next(), item_id=self.id, output_index=self._index, delta=arguments
            )
        )

    def end(self, status: ItemStatus) -> bytes:
        """Return the events that say it is whole, in that *status*."""
        self._ended = status
        arguments = ArgumentsDone(
            sequence_number=self._numbers.next(),
            item_id=self.id,
            output_index=self._index,
            name=self.function,
            arguments=self._said,
        )
        item = ItemDone(sequence_number=self._numbers.next(), output_index=self._index, item=self.item(status))
        return sent(arguments) + sent(item)

    def item(self, status: ItemStatus) -> FunctionCallItem:
        """Return it as far as it is written."""
        return FunctionCallItem(
            id=self.id,
            status=self._ended or status,
            call_id=self.call_id,
            name=self.function,
            arguments=self._said,
        )
