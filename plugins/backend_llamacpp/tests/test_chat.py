from __future__ import annotations

import msgspec
import pytest
from chattemplates import KNOWN, SMOLLM2
from gbnfreader import GbnfReader
from swarmgate.api import (
    ChatPrompt,
    FunctionCall,
    Message,
    RequestError,
    ResponseFormat,
    Tool,
    ToolChoice,
    Unsupported,
)
from swarmgate_backend_llamacpp.engine.chat import ChatFormat, ParsedDelta, RenderedChat

FREE = ResponseFormat()
WEATHER = Tool(
    name="get_weather",
    description="Says what the weather is.",
    parameters={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
CLOCK = Tool(name="get_time")
BOTH = (WEATHER, CLOCK)
ASKED = Message(role="user", content="Rain in Rome?")
CALLED = Message(
    role="assistant", tool_calls=(FunctionCall(id="call_1", name="get_weather", arguments='{"city": "Rome"}'),)
)
ANSWERED = Message(role="tool", tool_call_id="call_1", content="sunny")

FORMATS = {name: ChatFormat({"default": source}, bos="<s>", eos="</s>") for name, source in KNOWN.items()}


def read(rendered: RenderedChat, text: str, *, seed: int = 7) -> tuple[str, str, list[tuple[str, str]]]:
    """The content, the reasoning and the calls of *text*, fed character by character; whole must be the same."""
    totals: list[tuple[str, str, dict[int, list[str]]]] = []
    for pieces in ([text], list(text)):
        parser = rendered.parser(seed)
        deltas = [*map(parser.feed, pieces), parser.finish()]
        calls: dict[int, list[str]] = {}
        for delta in (call for each in deltas for call in each.tool_calls):
            if delta.index not in calls:
                assert delta.id
                calls[delta.index] = [delta.name or "", ""]
            calls[delta.index][1] += delta.arguments
        assert parser.called == bool(calls)
        totals.append(("".join(d.text for d in deltas), "".join(d.reasoning for d in deltas), calls))
    assert totals[0] == totals[1]
    return totals[0][0], totals[0][1], [(name, arguments) for name, arguments in totals[0][2].values()]


@pytest.mark.parametrize("name", KNOWN)
def test_a_question_is_rendered(name: str) -> None:
    """Every template carries a plain question, and what the system says, and leaves the answer free."""
    system = Message(role="system", content="Be brief.")
    rendered = FORMATS[name].render(ChatPrompt(messages=(system, ASKED)), FREE)
    assert "Be brief." in rendered.text
    assert "Rain in Rome?" in rendered.text
    assert rendered.grammar == ""
    assert rendered.stops == ()
    content, _, calls = read(
        rendered, "</think>It rains <tool_call> here" if name == "r1" else "It rains <tool_call> here"
    )
    assert (content, calls) == ("It rains <tool_call> here", [])


@pytest.mark.parametrize("name", KNOWN)
def test_a_conversation_with_calls_is_rendered(name: str) -> None:
    """Every template carries tools, a call, its result and what follows, natively or described."""
    prompt = ChatPrompt(messages=(ASKED, CALLED, ANSWERED), tools=BOTH)
    text = FORMATS[name].render(prompt, FREE).text
    for said in ("get_weather", "Says what the weather is.", "get_time", "Rome", "sunny"):
        assert said in text
    again = (
        *prompt.messages,
        Message(role="assistant", content="It is sunny."),
        Message(role="user", content="Thanks"),
    )
    assert "Thanks" in FORMATS[name].render(msgspec.structs.replace(prompt, messages=again), FREE).text


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("smollm2", None),
        ("qwen3", "hermes"),
        ("llama3", "bare"),
        ("mistral", "mistral"),
        ("mistral_named", "mistral-named"),
        ("gemma", None),
        ("r1", None),
        ("typed", None),
        ("void", "marked"),
    ],
)
def test_the_native_form_is_found_by_rendering(name: str, form: str | None) -> None:
    """How a model writes calls is seen in what its template makes of one."""
    found = FORMATS[name].capabilities.form
    assert (found.name if found else None) == form


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("parallel", [False, True])
def test_a_forced_call_is_read_back(name: str, parallel: bool) -> None:
    """Whatever a grammar lets a model write is parsed to calls of known tools with arguments that obey."""
    prompt = ChatPrompt(
        messages=(ASKED,), tools=BOTH, tool_choice=ToolChoice(mode="required"), parallel_tool_calls=parallel
    )
    rendered = FORMATS[name].render(prompt, FREE)
    reader = GbnfReader(rendered.grammar)
    counts: set[int] = set()
    for seed in range(60):
        text = reader.example(seed, size=12 + 4 * seed)
        content, _, calls = read(rendered, text)
        assert content == "", text
        counts.add(len(calls))
        for tool, arguments in calls:
            value = msgspec.json.decode(arguments)
            assert set(value) == ({"city"} if tool == "get_weather" else set()), text
    several = parallel and FORMATS[name].capabilities.spoken.parallel
    assert counts > {1} if several else counts == {1}


@pytest.mark.parametrize("name", KNOWN)
def test_a_named_call_is_that_one(name: str) -> None:
    """With a named tool the grammar lets the model write one call of it, and nothing else."""
    prompt = ChatPrompt(messages=(ASKED,), tools=BOTH, tool_choice=ToolChoice(mode="required", name="get_weather"))
    rendered = FORMATS[name].render(prompt, FREE)
    reader = GbnfReader(rendered.grammar)
    assert not reader.accepts("It is sunny.")
    assert {call[0] for seed in range(30) for call in read(rendered, reader.example(seed))[2]} == {"get_weather"}


def test_no_tool_choice_shows_no_tools() -> None:
    """With tool_choice none the model does not see the tools, and nothing is taken for a call."""
    prompt = ChatPrompt(messages=(ASKED,), tools=BOTH, tool_choice=ToolChoice(mode="none"))
    for name, chat in FORMATS.items():
        rendered = chat.render(prompt, FREE)
        assert "get_weather" not in rendered.text, name
        assert rendered.form is None


@pytest.mark.parametrize("choice", [ToolChoice(mode="required"), ToolChoice(mode="required", name="nobody")])
def test_a_call_that_cannot_be(choice: ToolChoice) -> None:
    """A forced call without tools, and of a tool that does not exist, is the request's fault."""
    tools = BOTH if choice.name else ()
    with pytest.raises(RequestError, match="tool_choice") as caught:
        FORMATS["qwen3"].render(ChatPrompt(messages=(ASKED,), tools=tools, tool_choice=choice), FREE)
    assert caught.value.param == "tool_choice"


def test_a_schema_beside_free_tools_leaves_both_open() -> None:
    """With tools that may be called and a schema, the answer is a call or obeys the schema."""
    asked = ResponseFormat(
        kind="json_schema", schema={"type": "object", "properties": {"n": {"const": 1}}, "required": ["n"]}
    )
    rendered = FORMATS["void"].render(ChatPrompt(messages=(ASKED,), tools=BOTH), asked)
    reader = GbnfReader(rendered.grammar)
    assert reader.accepts('{"n": 1}')
    assert reader.accepts('<call>{"name": "get_time", "arguments": {}}</call>')
    assert not reader.accepts("one")
    assert read(rendered, '{"n": 1}') == ('{"n": 1}', "", [])


def test_reasoning_may_come_before_what_is_forced() -> None:
    """A model that reasons may do so before its JSON, and the end of the reasoning is where the JSON begins."""
    opened = FORMATS["r1"].render(ChatPrompt(messages=(ASKED,)), ResponseFormat(kind="json_object"))
    reader = GbnfReader(opened.grammar)
    assert reader.accepts('so <</thin </think>\n\n{"a": 1}')
    assert not reader.accepts('{"a": 1}')
    assert not reader.accepts('so</think> no </think>{"a": 1}')
    assert read(opened, 'so\n</think>\n\n{"a": 1}') == ('{"a": 1}', "so", [])
    either = GbnfReader(
        FORMATS["qwen3"].render(ChatPrompt(messages=(ASKED,)), ResponseFormat(kind="json_object")).grammar
    )
    assert either.accepts('{"a": 1}')
    assert either.accepts('<think>so</think>{"a": 1}')


def test_reasoning_is_told_from_the_answer() -> None:
    """Reasoning that the model or the prompt opens is not content, and white space around it is layout."""
    thinking = FORMATS["qwen3"].render(ChatPrompt(messages=(ASKED,)), FREE)
    assert read(thinking, "<think>\nhm\n\nyes\n</think>\n\nNo <think>.\n") == ("No <think>.\n", "hm\n\nyes", [])
    assert read(thinking, " <thin") == (" <thin", "", [])
    assert read(thinking, "<think>cut") == ("", "cut", [])
    quiet = FORMATS["qwen3"].render(ChatPrompt(messages=(ASKED,), template_kwargs={"enable_thinking": False}), FREE)
    assert quiet.text.endswith("</think>\n\n")
    assert read(quiet, "Yes.") == ("Yes.", "", [])
    opened = FORMATS["r1"].render(ChatPrompt(messages=(ASKED,)), FREE)
    assert read(opened, "<think>\nhm</think>Yes.") == ("Yes.", "hm", [])
    assert read(opened, "hm") == ("", "hm", [])


def test_an_earlier_answers_reasoning_reaches_the_template() -> None:
    """Templates that want the reasoning of earlier answers get it by the name they know."""
    earlier = Message(role="assistant", content="Yes.", reasoning="I think so")
    text = FORMATS["qwen3"].render(ChatPrompt(messages=(ASKED, earlier, ASKED)), FREE).text
    assert "<think>\nI think so\n</think>\n\nYes." in text


def test_what_a_template_refuses_is_said() -> None:
    """A conversation the template does not accept is refused with the template's own words."""
    with pytest.raises(RequestError, match="refuses the messages: Conversation roles must alternate") as caught:
        FORMATS["gemma"].render(ChatPrompt(messages=(ASKED, ASKED)), FREE)
    assert caught.value.param == "messages"


def test_a_template_without_system_role_gets_it_from_the_user() -> None:
    """What the system says is put at the head of the user's next message, or into one of its own."""
    system = Message(role="system", content="Be brief.")
    chat = FORMATS["gemma"]
    assert "user\nBe brief.\n\nRain in Rome?" in chat.render(ChatPrompt(messages=(system, ASKED)), FREE).text
    assert "user\nBe brief.<end" in chat.render(ChatPrompt(messages=(system,)), FREE).text


def test_calls_made_together_are_laid_out_singly_where_they_must() -> None:
    """A template that takes one call per message gets several as call, result, call, result."""
    calls = tuple(FunctionCall(id=f"call_{n}", name="get_weather", arguments=f'{{"city": "C{n}"}}') for n in (1, 2))
    results = tuple(Message(role="tool", tool_call_id=f"call_{n}", content=f"R{n}") for n in (2, 1))
    prompt = ChatPrompt(messages=(ASKED, Message(role="assistant", tool_calls=calls), *results, ASKED), tools=BOTH)
    text = FORMATS["llama3"].render(prompt, FREE).text
    assert [text.index(said) for said in ("C2", "R2", "C1", "R1")] == sorted(map(text.index, ("C2", "R2", "C1", "R1")))


def test_ids_are_shortened_where_they_must_be() -> None:
    """Where call ids must have nine letters, call and result get the same such id."""
    text = FORMATS["mistral"].render(ChatPrompt(messages=(ASKED, CALLED, ANSWERED), tools=BOTH), FREE).text
    identity = text.partition('"id": "')[2][:9]
    assert identity.isalnum()
    assert f'"call_id": "{identity}"' in text


def test_arguments_that_are_no_json_are_named() -> None:
    """Arguments of an earlier call that a template needs as an object must be JSON; the message is named."""
    broken = Message(role="assistant", tool_calls=(FunctionCall(id="1", name="get_time", arguments="{oops"),))
    with pytest.raises(RequestError, match=r"messages\[1\] holds a tool call whose arguments are not JSON"):
        FORMATS["qwen3"].render(ChatPrompt(messages=(ASKED, broken), tools=BOTH), FREE)


def test_no_template_means_chatml() -> None:
    """A model without a template chats in ChatML, and its marks end the answer."""
    rendered = ChatFormat({}).render(ChatPrompt(messages=(ASKED,)), FREE)
    assert rendered.text == "<|im_start|>user\nRain in Rome?<|im_end|>\n<|im_start|>assistant\n"
    assert rendered.stops == ("<|im_end|>", "<|im_start|>")


def test_a_template_for_tools_is_taken_when_there_are_some() -> None:
    """Of two templates the one called tool_use renders chats with tools, the other the rest."""
    chat = ChatFormat({"default": SMOLLM2, "tool_use": KNOWN["qwen3"]})
    assert "helpful AI assistant" in chat.render(ChatPrompt(messages=(ASKED,)), FREE).text
    assert "# Tools\n<tools>" in chat.render(ChatPrompt(messages=(ASKED,), tools=BOTH), FREE).text


def test_a_broken_template_is_said_when_it_is_needed() -> None:
    """A template that does not compile lets the model load; chats are refused with the reason."""
    chat = ChatFormat({"default": "{% for %}"})
    with pytest.raises(Unsupported, match="template cannot be used"):
        chat.render(ChatPrompt(messages=(ASKED,)), FREE)


def test_ids_are_the_same_when_an_answer_is_written_again() -> None:
    """Call ids depend on the seed and the call's number alone."""
    rendered = FORMATS["qwen3"].render(ChatPrompt(messages=(ASKED,), tools=BOTH), FREE)
    call = '<tool_call>{"name": "get_time", "arguments": {}}</tool_call>'

    def ids(seed: int) -> list[str | None]:
        return [delta.id for delta in rendered.parser(seed).feed(call * 2).tool_calls]

    assert ids(1) == ids(1)
    assert len({*ids(1), *ids(2)}) == 4


def test_one_call_is_enough_where_only_one_is_allowed() -> None:
    """Without parallel calls the parser says when the one is complete and swallows what follows."""
    prompt = ChatPrompt(messages=(ASKED,), tools=BOTH, parallel_tool_calls=False)
    parser = FORMATS["qwen3"].render(prompt, FREE).parser(1)
    call = '<tool_call>{"name": "get_time", "arguments": {}}'
    assert len(parser.feed(call).tool_calls) == 1
    assert parser.complete
    assert parser.feed(call) == ParsedDelta()
    assert parser.finish() == ParsedDelta()
