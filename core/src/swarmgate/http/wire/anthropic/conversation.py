"""Turns of a conversation, which are text or blocks, into our messages.  Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec
from msgspec import Struct

from swarmgate.chat import FunctionCall, Message
from swarmgate.errors import RequestError, Unsupported
from swarmgate.http.wire.anthropic.thinking import recalled

#: What stands between blocks: to the model they are paragraphs.
_BETWEEN = "\n\n"
_UNSPOKEN = frozenset({"redacted_thinking"})


class Block(Struct, kw_only=True):
    """A block of a turn; which fields count depends on *type*: text, tool_use, tool_result or thinking."""

    type: str
    text: str | None = None
    id: str | None = None
    name: str | None = None
    input: dict[str, Any] | None = None
    tool_use_id: str | None = None
    content: str | list[Block] | None = None
    is_error: bool | None = None
    thinking: str | None = None
    signature: str | None = None


class Turn(Struct, kw_only=True):
    """What one side says."""

    role: Literal["user", "assistant", "system"]
    content: str | list[Block]


def conversation(system: str | list[Block] | None, turns: list[Turn]) -> tuple[Message, ...]:
    """Translate *turns*; those of one side that follow each other become one, as Anthropic has it.

    Raises:
        RequestError: something a block needs is missing, or it ends with a begun answer.
        Unsupported: a block is not text.

    """
    messages: list[Message] = []
    if system:
        messages.append(Message(role="system", content=_text(system, "system")))
    for index, turn in enumerate(turns):
        for message in _messages(turn, f"messages[{index}]"):
            if messages and messages[-1].role == message.role != "tool":
                messages[-1] = _joined(messages[-1], message)
            else:
                messages.append(message)
    last = len(turns) - 1
    if turns[last].role == "assistant":
        param = f"messages[{last}]"
        raise RequestError(
            f"{param}: expected the user's turn as the last, found the assistant's: this gateway does not go on with "
            "an answer that the client began (prefill)",
            param=param,
        )
    return tuple(messages)


def _messages(turn: Turn, path: str) -> Iterator[Message]:
    if isinstance(turn.content, str):
        yield Message(role=turn.role, content=turn.content)
    elif turn.role == "assistant":
        yield _answer(turn.content, path)
    elif turn.role == "system":
        yield Message(role="system", content=_text(turn.content, f"{path}.content"))
    else:
        yield from _asked(turn.content, path)


def _asked(blocks: list[Block], path: str) -> Iterator[Message]:
    """Return the results of calls first, then what the user says."""
    texts: list[str] = []
    for index, block in enumerate(blocks):
        where = f"{path}.content[{index}]"
        if block.type == "tool_result":
            yield _result(block, where)
        else:
            texts.append(_said(block, where))
    if texts or not blocks:
        yield Message(role="user", content=_BETWEEN.join(texts))


def _answer(blocks: list[Block], path: str) -> Message:
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[FunctionCall] = []
    for index, block in enumerate(blocks):
        where = f"{path}.content[{index}]"
        if block.type == "tool_use":
            calls.append(_call(block, where))
        elif block.type == "thinking":
            thoughts.append(recalled(block.thinking or "", block.signature or ""))
        elif block.type not in _UNSPOKEN:
            texts.append(_said(block, where))
    return Message(
        role="assistant",
        content=_BETWEEN.join(texts),
        reasoning=_BETWEEN.join(filter(None, thoughts)) or None,
        tool_calls=tuple(calls),
    )


def _call(block: Block, where: str) -> FunctionCall:
    return FunctionCall(
        id=_needed(block.id, where, "id"),
        name=_needed(block.name, where, "name"),
        arguments=msgspec.json.encode(block.input or {}).decode(),
    )


def _result(block: Block, where: str) -> Message:
    text = _text(block.content or "", f"{where}.content")
    if block.is_error and not text.lower().startswith("error"):
        text = f"Error: {text}"  # templates have no other place for it
    return Message(role="tool", content=text, tool_call_id=_needed(block.tool_use_id, where, "tool_use_id"))


def _text(content: str | list[Block], path: str) -> str:
    if isinstance(content, str):
        return content
    return _BETWEEN.join(_said(block, f"{path}[{index}]") for index, block in enumerate(content))


def _said(block: Block, where: str) -> str:
    if block.type != "text":
        raise Unsupported(
            f"{where}: this model reads text only, found a block of type {block.type!r}; leave it out", param=where
        )
    return _needed(block.text, where, "text")


def _needed(value: str | None, where: str, name: str) -> str:
    if value is None:
        raise RequestError(f"{where}.{name}: required, but missing", param=f"{where}.{name}")
    return value


def _joined(first: Message, second: Message) -> Message:
    return msgspec.structs.replace(
        first,
        content=_BETWEEN.join(filter(None, [first.content, second.content])),
        reasoning=_BETWEEN.join(filter(None, [first.reasoning, second.reasoning])) or None,
        tool_calls=first.tool_calls + second.tool_calls,
    )
