from __future__ import annotations

from pathlib import Path

import pytest
from chattemplates import KNOWN
from gbnfreader import GbnfReader
from swarmgate.api import FunctionCall, RequestError, ResponseFormat, Tool, ToolChoice
from swarmgate_backend_llamacpp.engine.capabilities import probe
from swarmgate_backend_llamacpp.engine.templates import ChatTemplate
from swarmgate_backend_llamacpp.engine.thinking import Thinking
from swarmgate_backend_llamacpp.engine.toolformats import (
    DESCRIBED,
    HERMES,
    MAX_CALLS,
    ToolFormat,
    described,
    grammar_for,
    openai_tool,
    written,
)
from tinygguf import write_llama

FREE = ResponseFormat()
ADD = Tool(name="add", description="Adds.", parameters={"type": "object", "properties": {"n": {"type": "integer"}}})
NOW = Tool(name="now")
FORMS = {name: probe(ChatTemplate(source)).spoken for name, source in KNOWN.items()}


def forced(form: ToolFormat, *tools: Tool, parallel: bool = True, thinking: Thinking | None = None) -> GbnfReader:
    choice = ToolChoice(mode="required")
    return GbnfReader(grammar_for(FREE, tools, choice, parallel=parallel, form=form, thinking=thinking))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("gemma", '<tool_call>\n{"name": "add", "arguments": {"n":1}}\n</tool_call>'),
        ("qwen3", '<tool_call>\n{"name": "add", "arguments": {"n": 1}}\n</tool_call>'),
        ("llama3", '{"name": "add", "parameters": {"n": 1}}'),
        ("mistral", '[TOOL_CALLS][{"name": "add", "arguments": {"n": 1}}]'),
        ("mistral_named", '[TOOL_CALLS]add[CALL_ID]abc123DEF[ARGS]{"n": 1}'),
        ("void", '<call>{"name": "add", "arguments": {"n": 1}}</call>'),
    ],
)
def test_each_form_is_forced_as_its_template_writes_it(name: str, text: str) -> None:
    """A forced call is the text that the model's own template makes of one."""
    reader = forced(FORMS[name], ADD, NOW)
    assert reader.accepts(text)
    assert not reader.accepts(text.replace("1}", '"1"}'))
    assert not reader.accepts(text.replace("add", "sub"))


def test_several_calls() -> None:
    """Several calls may be made unless the request or the model's form forbids it."""
    call = '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>'
    assert forced(HERMES, NOW).accepts(f"{call}\n{call}")
    assert not forced(HERMES, NOW).accepts("\n".join([call] * (MAX_CALLS + 1)))
    assert not forced(DESCRIBED, NOW).accepts(f"{call}\n{call}")
    assert not forced(HERMES, NOW, parallel=False).accepts(f"{call}\n{call}")
    two = '[TOOL_CALLS][{"name": "now", "arguments": {}}, {"name": "now", "arguments": {}}]'
    assert forced(FORMS["mistral"], NOW).accepts(two)
    assert not forced(FORMS["mistral"], NOW, parallel=False).accepts(two)
    assert not forced(FORMS["llama3"], NOW).accepts(
        '{"name": "now", "parameters": {}}{"name": "now", "parameters": {}}'
    )


def test_reasoning_before_a_forced_call() -> None:
    """A reasoning model may reason first; where the prompt opens the reasoning it must close it."""
    call = '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>'
    free = forced(HERMES, NOW, thinking=Thinking("<think>", "</think>"))
    assert free.accepts(call)
    assert free.accepts(f"<think>x <</think </think>\n\n{call}")
    opened = forced(HERMES, NOW, thinking=Thinking("<think>", "</think>", opened=True))
    assert opened.accepts(f"x</think>{call}")
    assert not opened.accepts(call)


def test_a_tool_that_is_not_strict_may_ask_for_what_a_grammar_cannot() -> None:
    """Conditions that cannot be expressed are left out for ordinary tools and refused for strict ones."""
    asked = {"type": "object", "properties": {"n": {"type": "integer", "multipleOf": 3}}}
    call = '<tool_call>\n{"name": "add", "arguments": {"n": 3}}\n</tool_call>'
    assert forced(HERMES, Tool(name="add", parameters=asked)).accepts(call)
    with pytest.raises(RequestError, match="'multipleOf' is not supported") as caught:
        forced(HERMES, NOW, Tool(name="add", parameters=asked, strict=True))
    assert caught.value.param == "tools[1].function.parameters"


def test_tools_in_words() -> None:
    """Models without a form of their own are told of the tools, and see earlier calls as they should write them."""
    text = described([ADD])
    assert '"name": "add"' in text
    assert HERMES.opener in text
    call = FunctionCall(id="1", name="add", arguments='{"n": 1}')
    once = '<tool_call>\n{"name": "add", "arguments": {"n": 1}}\n</tool_call>'
    assert written([call, call]) == f"{once}\n{once}"
    assert openai_tool(NOW)["function"]["parameters"] == {"type": "object", "properties": {}}


@pytest.mark.engine
def test_llama_cpp_accepts_the_grammars(tmp_path: Path) -> None:
    """Every form's grammar, with reasoning and without, is one to llama.cpp."""
    import llama_cpp

    settings = llama_cpp.llama_model_default_params()
    settings.vocab_only = True
    path = write_llama(tmp_path / "tiny.gguf", seed=1)
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), settings)
    vocabulary = llama_cpp.llama_model_get_vocab(model)
    try:
        for form in FORMS.values():
            for thinking in (None, Thinking("<think>", "</think>"), Thinking("<think>", "</think>", opened=True)):
                text = grammar_for(
                    FREE, [ADD, NOW], ToolChoice(mode="required"), parallel=True, form=form, thinking=thinking
                )
                sampler = llama_cpp.llama_sampler_init_grammar(vocabulary, text.encode(), b"root")
                assert sampler, text
                llama_cpp.llama_sampler_free(sampler)
    finally:
        llama_cpp.llama_model_free(model)
