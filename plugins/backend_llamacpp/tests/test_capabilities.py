from __future__ import annotations

import pytest
from chattemplates import KNOWN
from swarmgate_backend_llamacpp.engine.capabilities import Capabilities, probe
from swarmgate_backend_llamacpp.engine.templates import CHATML, ChatTemplate
from swarmgate_backend_llamacpp.engine.toolformats import DESCRIBED, HERMES, ToolFormat

BARE = ToolFormat("bare", opener="", key="parameters", parallel=False, also=("<|python_tag|>",))
MISTRAL = ToolFormat("mistral", "[TOOL_CALLS]", "", "[TOOL_CALLS][", "]", array=True)
NAMED = ToolFormat("mistral-named", "[TOOL_CALLS]", before="[TOOL_CALLS]", named=True, middle="[CALL_ID]{id}[ARGS]")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("smollm2", Capabilities()),
        ("qwen3", Capabilities(form=HERMES)),
        ("llama3", Capabilities(form=BARE, single=True)),
        ("mistral", Capabilities(form=MISTRAL, short=True)),
        ("mistral_named", Capabilities(form=NAMED, short=True)),
        ("gemma", Capabilities(system=False)),
        ("r1", Capabilities()),
        ("typed", Capabilities(typed=True)),
        (
            "void",
            Capabilities(form=ToolFormat("marked", "<call>", "</call>", "<call>", "</call>"), void=True, text=True),
        ),
    ],
)
def test_what_a_template_can_do_is_found_by_trying(name: str, found: Capabilities) -> None:
    """Each template's needs are seen in what it renders and what it refuses."""
    assert probe(ChatTemplate(KNOWN[name], bos="<s>", eos="</s>")) == found


@pytest.mark.parametrize("source", [CHATML, "", "{% for %}", "{{ raise_exception('never') }}"])
def test_a_template_without_tools_or_sense(source: str) -> None:
    """What does not know tools, does not compile or refuses everything is given Hermes' form."""
    assert probe(ChatTemplate(source)).spoken is DESCRIBED
