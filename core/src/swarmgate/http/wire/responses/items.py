"""Input items of a response, made into messages: one turn of the model may be several items."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct
from msgspec.structs import replace

from swarmgate.chat import FunctionCall, Message
from swarmgate.errors import RequestError, Unsupported
from swarmgate.http.wire.messages import ContentPart, text_of

_ROLES = ("user", "assistant", "system", "developer")
_PREFIXES = {"message": "msg", "function_call": "fc", "function_call_output": "fco", "reasoning": "rs"}
_KINDS = (*_PREFIXES, "item_reference")

#: Returns the item of an earlier response that has that id, None if none is kept.
Find = Callable[[str], "ItemBody | None"]


class ItemBody(Struct, kw_only=True, omit_defaults=True):
    """One item; which fields count depends on *type*, which a message may leave out."""

    type: str | None = None
    id: str | None = None
    role: str | None = None
    content: str | list[ContentPart] | None = None
    summary: list[ContentPart] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | list[ContentPart] | None = None

    @property
    def kind(self) -> str:
        """Return what it is, also where it does not say."""
        if self.type is None:
            return "item_reference" if self.role is None and self.id is not None else "message"
        return self.type


def resolved(items: Iterable[ItemBody], find: Find) -> tuple[ItemBody, ...]:
    """Return *items* with what they refer to in the place of references.

    Raises:
        RequestError: a reference leads nowhere.
        Unsupported: an item is of a kind that only OpenAI's own machines write.

    """
    return tuple(_resolved(item, f"input[{index}]", find) for index, item in enumerate(items))


def named(items: Iterable[ItemBody], tag: str) -> tuple[ItemBody, ...]:
    """Return *items*, each with an id: its own, or one that *tag* makes unique."""
    return tuple(
        item if item.id else replace(item, id=f"{_PREFIXES[item.kind]}_{tag}_i{index}")
        for index, item in enumerate(items)
    )


def messages(items: Iterable[ItemBody], path: str = "input") -> tuple[Message, ...]:
    """Translate *items*, which stand at *path*: thoughts, text and calls that follow one another are one message.

    Raises:
        RequestError: something that an item of its kind needs is missing.
        Unsupported: it has a part that is not text.

    """
    turns = _Turns()
    for index, item in enumerate(items):
        turns.take(item, f"{path}[{index}]")
    return turns.messages


class _Turns:
    """Messages in the making; *thoughts*, *text* and *calls* are the model's turn that is not yet over."""

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._thoughts = ""
        self._text: str | None = None
        self._calls: list[FunctionCall] = []

    @property
    def messages(self) -> tuple[Message, ...]:
        self._end()
        return tuple(self._messages)

    def take(self, item: ItemBody, path: str) -> None:
        match item.kind:
            case "message":
                self._message(item, path)
            case "reasoning":
                if self._text is not None or self._calls:
                    self._end()
                told = text_of(item.content or item.summary, f"{path}.content") or ""
                self._thoughts = f"{self._thoughts}\n{told}" if self._thoughts and told else self._thoughts or told
            case "function_call":
                self._calls.append(
                    FunctionCall(
                        id=_needed(item.call_id, f"{path}.call_id"),
                        name=_needed(item.name, f"{path}.name"),
                        arguments=item.arguments or "",
                    )
                )
            case _:
                self._end()
                output = text_of(item.output, f"{path}.output")
                if output is None:
                    raise RequestError(f"{path}.output: required, but missing", param=f"{path}.output")
                call = _needed(item.call_id, f"{path}.call_id")
                self._messages.append(Message(role="tool", content=output, name=item.name, tool_call_id=call))

    def _message(self, item: ItemBody, path: str) -> None:
        text = text_of(item.content, f"{path}.content")
        if text is None:
            raise RequestError(f"{path}.content: required, but missing", param=f"{path}.content")
        if item.role == "assistant":
            if self._text is not None or self._calls:
                self._end()
            self._text = text
            return
        self._end()
        match item.role:
            case "user":
                self._messages.append(Message(role="user", content=text))
            case "system" | "developer":
                self._messages.append(Message(role="system", content=text))
            case _:
                found = "none" if item.role is None else repr(item.role[:40])
                raise RequestError(
                    f"{path}.role: expected one of {', '.join(_ROLES)}, found {found}", param=f"{path}.role"
                )

    def _end(self) -> None:
        """End the model's turn, if it has one; thoughts that led to nothing are a turn of their own."""
        if self._text is None and not self._calls and not self._thoughts:
            return
        self._messages.append(
            Message(
                role="assistant",
                content=self._text or "",
                reasoning=self._thoughts or None,
                tool_calls=tuple(self._calls),
            )
        )
        self._thoughts, self._text, self._calls = "", None, []


def _resolved(item: ItemBody, path: str, find: Find) -> ItemBody:
    if item.kind not in _KINDS:
        raise Unsupported(
            f"{path}.type: expected one of {', '.join(_KINDS)}, found {item.kind[:40]!r}; leave it out",
            param=f"{path}.type",
        )
    if item.kind != "item_reference":
        return item
    name = _needed(item.id, f"{path}.id")
    found = find(name)
    if found is None:
        raise RequestError(
            f"{path}.id: no item {name[:80]!r} is kept here; send the item itself, in its place", param=f"{path}.id"
        )
    return found


def _needed(value: str | None, path: str) -> str:
    if not value:
        raise RequestError(f"{path}: required, but missing", param=path)
    return value
