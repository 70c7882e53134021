from __future__ import annotations

from dataclasses import replace
from typing import Any

from swarmgate.api import ChatPrompt, FunctionCall, Message, Tool
from swarmgate_backend_llamacpp.engine.capabilities import Capabilities
from swarmgate_backend_llamacpp.engine.conversation import lay_out
from swarmgate_backend_llamacpp.engine.toolformats import HERMES, described, written

NATIVE, PLAIN = Capabilities(form=HERMES), Capabilities()
TOOLS = (Tool(name="now"),)
SYSTEM, ASKED = Message(role="system", content="S"), Message(role="user", content="Q")
CALLS = tuple(FunctionCall(id=f"call_{n}", name="now", arguments=f'{{"n": {n}}}') for n in (1, 2))
CALLED = Message(role="assistant", content="Hm.", tool_calls=CALLS)
RESULTS = tuple(Message(role="tool", tool_call_id=f"call_{n}", content=f"R{n}") for n in (1, 2))


def laid(found: Capabilities, *messages: Message, tools: tuple[Tool, ...] = ()) -> list[dict[str, Any]]:
    return lay_out(ChatPrompt(messages=messages), tools, found)


def test_native_calls_keep_openais_form() -> None:
    """Calls carry their arguments as objects, and results the name of the function they come from."""
    _, called, first, _ = laid(NATIVE, ASKED, CALLED, *RESULTS)
    assert called["tool_calls"][1] == {
        "id": "call_2",
        "type": "function",
        "function": {"name": "now", "arguments": {"n": 2}},
    }
    assert first == {"role": "tool", "content": "R1", "tool_call_id": "call_1", "name": "now"}


def test_a_template_may_need_them_otherwise() -> None:
    """Arguments as text, no content beside calls, short ids and contents in parts are given where needed."""
    silent = Message(role="assistant", tool_calls=CALLS)
    found = replace(NATIVE, text=True, void=True, short=True)
    _, called, result, _ = laid(found, ASKED, silent, *RESULTS)
    assert called["content"] is None
    assert called["tool_calls"][0]["function"]["arguments"] == '{"n": 1}'
    assert called["tool_calls"][0]["id"] == result["tool_call_id"]
    assert len(result["tool_call_id"]) == 9
    assert laid(replace(PLAIN, typed=True), ASKED)[0]["content"] == [{"type": "text", "text": "Q"}]


def test_tools_are_described_where_they_are_not_known() -> None:
    """Tools join the system message, calls are words, and results the user's, in one message with what follows."""
    system, _, called, answered = laid(PLAIN, SYSTEM, ASKED, CALLED, *RESULTS, ASKED, tools=TOOLS)
    assert system == {"role": "system", "content": f"S\n\n{described(TOOLS)}"}
    assert called == {"role": "assistant", "content": f"Hm.\n{written(CALLS)}"}
    assert answered["role"] == "user"
    parts = [f"<tool_response>\nR{n}\n</tool_response>" for n in (1, 2)]
    assert answered["content"] == "\n".join([*parts, "Q"])


def test_single_calls_are_laid_out_one_after_the_other() -> None:
    """Where a message holds one call each is followed by its own result, and one without a result stays."""
    roles = [m["role"] for m in laid(replace(NATIVE, single=True), ASKED, CALLED, *reversed(RESULTS), ASKED)]
    assert roles == ["user", "assistant", "tool", "assistant", "tool", "user"]
    kept = laid(replace(NATIVE, single=True), ASKED, CALLED, RESULTS[1])
    assert [m.get("content") for m in kept] == ["Q", "", "R2", "Hm."]


def test_system_messages_are_folded_where_there_are_none() -> None:
    """What the system says goes to the head of the user's next message, or stands as one at the end."""
    found = replace(PLAIN, system=False)
    assert [m["content"] for m in laid(found, SYSTEM, SYSTEM, ASKED, ASKED)] == ["S\n\nS\n\nQ", "Q"]
    assert laid(found, SYSTEM) == [{"role": "user", "content": "S"}]


def test_names_and_reasoning_are_passed_on() -> None:
    """A participant's name and an earlier answer's reasoning reach the template; without them the keys are absent."""
    named = Message(role="user", content="Q", name="Ada")
    thought = Message(role="assistant", content="A", reasoning="R")
    assert laid(PLAIN, named, thought, ASKED) == [
        {"role": "user", "content": "Q", "name": "Ada"},
        {"role": "assistant", "content": "A", "reasoning_content": "R"},
        {"role": "user", "content": "Q"},
    ]
