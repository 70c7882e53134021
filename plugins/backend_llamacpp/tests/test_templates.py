from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from chattemplates import SMOLLM2
from swarmgate.api import RequestError, Unsupported
from swarmgate_backend_llamacpp.engine.templates import CHATML, MAX_SOURCE, ChatTemplate

HELLO = [{"role": "user", "content": "hello"}]


def render(source: str, **variables: Any) -> str:
    return ChatTemplate(source, bos="<s>", eos="</s>").render(HELLO, extra=variables)


def test_chatml() -> None:
    """The template for models without one writes ChatML, with or without the answer's beginning."""
    template = ChatTemplate(CHATML)
    assert template.render(HELLO) == "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n"
    assert template.render(HELLO, generate=False) == "<|im_start|>user\nhello<|im_end|>\n"


def test_a_real_one() -> None:
    """SmolLM2's template, as it stands in the file, greets with a system message of its own."""
    text = ChatTemplate(SMOLLM2).render(HELLO)
    assert text.startswith(
        "<|im_start|>system\nYou are a helpful AI assistant.<|im_end|>\n<|im_start|>user\nhello<|im_end|>"
    )
    assert text.endswith("<|im_start|>assistant\n")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ bos_token }}{{ messages[0].content }}{{ eos_token }}", "<s>hello</s>"),
        ("  {% if true %}\nx\n  {% endif %}\ny", "x\ny"),
        ("{{ {'a': '<é>', 'b': [1, 2]} | tojson }}", '{"a": "<é>", "b": [1, 2]}'),
        ("{{ {'a': 1} | tojson(indent=2) }}", '{\n  "a": 1\n}'),
        ("{% for n in range(9) %}{% if n == 2 %}{% break %}{% endif %}{{ n }}{% endfor %}", "01"),
        ("{% generation %}{{ messages[0].content }}{% endgeneration %}!", "hello!"),
        ("{{ tools is none }}{{ tools is defined }}", "TrueTrue"),
        ("{{ enable_thinking }}", "False"),
    ],
)
def test_what_transformers_offers(source: str, text: str) -> None:
    """Variables, white space, tojson, loop controls and the generation block are as templates expect them."""
    assert render(source, enable_thinking=False) == text


def test_the_date_comes_from_the_clock_given() -> None:
    """strftime_now tells the time of the clock the format was made with."""
    template = ChatTemplate("{{ strftime_now('%d %b %Y') }}", now=lambda: datetime(2024, 7, 26, tzinfo=UTC))
    assert template.render(HELLO) == "26 Jul 2024"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ raise_exception('no system role') }}", "refuses the messages: no system role"),
        ("{{ messages[0].content.missing.more }}", "cannot render the messages: UndefinedError"),
        ("{{ 'a' + 1 }}", "cannot render the messages: TypeError"),
        ("{{ messages.append(1) }}", "SecurityError"),
        ("{{ ''.__class__.__mro__ }}", "cannot render the messages"),
        ("{% for n in range(10**9) %}{% endfor %}", "Range too big"),
        ("{% for n in range(99999) %}{{ '0123456789' * 1000 }}{% endfor %}", "writes more than"),
    ],
)
def test_what_goes_wrong_is_the_requests_fault(source: str, message: str) -> None:
    """Whatever a template refuses, stumbles over or tries to reach becomes an error that says so."""
    with pytest.raises(RequestError, match=message) as caught:
        render(source)
    assert caught.value.param == "messages"


@pytest.mark.parametrize("source", ["{% for %}", "{{ unclosed", " " * (MAX_SOURCE + 1)])
def test_a_broken_template(source: str) -> None:
    """A template that cannot be compiled is said to be so when it is used."""
    template = ChatTemplate(source)
    with pytest.raises(Unsupported, match="chat template cannot be used"):
        template.render(HELLO)


def test_a_clients_variables_cannot_replace_ours() -> None:
    """chat_template_kwargs may not bring messages of their own."""
    with pytest.raises(RequestError, match="may not set 'messages'"):
        render("x", messages=[])
