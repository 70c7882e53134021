from __future__ import annotations

import pytest
from chattemplates import GEMMA, QWEN3, R1
from swarmgate_backend_llamacpp.engine.thinking import Thinking, thinking_of


@pytest.mark.parametrize(
    ("source", "rendered", "found"),
    [
        (GEMMA, "…<think>", None),
        (QWEN3, "<|im_start|>assistant\n", Thinking("<think>", "</think>")),
        (QWEN3, "<|im_start|>assistant\n<think>\n\n</think>\n\n", Thinking("<think>", "</think>")),
        (R1, "<|Assistant|><think>\n", Thinking("<think>", "</think>", opened=True)),
        ("[THINK]", "[/INST]", Thinking("[THINK]", "[/THINK]")),
    ],
)
def test_a_model_reasons_if_its_template_knows_the_marks(source: str, rendered: str, found: Thinking | None) -> None:
    """The marks are the template's, and the prompt's end says whether the reasoning is begun."""
    assert thinking_of(source, rendered) == found
