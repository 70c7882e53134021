from __future__ import annotations

from typing import Any

import msgspec
import pytest
from swarmgate.chat import ResponseFormat, Sampling
from swarmgate.errors import RequestError
from swarmgate.http.wire.ollama.options import AnswerOptions, most, sampling, stops, text_format, told_to_templates


def options(**fields: Any) -> AnswerOptions:
    return msgspec.convert(fields, AnswerOptions)


def test_drawing_is_translated() -> None:
    """Under the same names; what is left out keeps its default, and no engine gets numbers it cannot hold."""
    assert sampling(options()) == Sampling()
    given: dict[str, Any] = {
        "temperature": 0.0,
        "top_k": 7,
        "top_p": 0.5,
        "min_p": 0.1,
        "typical_p": 0.9,
        "repeat_penalty": 1.1,
        "repeat_last_n": 33,
        "presence_penalty": 0.5,
        "frequency_penalty": 0.25,
        "seed": 42,
    }
    assert sampling(options(**given)) == Sampling(**given)
    assert sampling(options(top_k=-1, seed=-1, repeat_last_n=2**40)) == Sampling(top_k=0, repeat_last_n=2**31 - 1)


@pytest.mark.parametrize(("wanted", "limit"), [(None, None), (-1, None), (-2, None), (5, 5), (2**40, 2**31 - 1)])
def test_an_answer_has_a_limit_or_none(wanted: int | None, limit: int | None) -> None:
    """Ollama has two words for none."""
    assert most(options(num_predict=wanted)) == limit


def test_no_tokens_are_no_answer() -> None:
    """The field is named with where it is."""
    with pytest.raises(RequestError) as caught:
        most(options(num_predict=0))
    assert caught.value.param == "options.num_predict"


def test_stops_are_one_or_several() -> None:
    """Empty ones would end everything."""
    assert stops(options(stop="END")) == ("END",)
    assert stops(options(stop=["a", "", "b"])) == ("a", "b")
    assert stops(options()) == ()


def test_the_form_of_the_text() -> None:
    """Free, JSON, or JSON of a schema."""
    assert text_format(None) == text_format("") == ResponseFormat()
    assert text_format("json") == ResponseFormat(kind="json_object")
    assert text_format({"type": "object"}) == ResponseFormat(kind="json_schema", schema={"type": "object"})
    with pytest.raises(RequestError, match="format: expected 'json' or a JSON schema, found 'xml'"):
        text_format("xml")


def test_templates_are_told_of_thinking() -> None:
    """Whether, or how much; nothing where the client says nothing."""
    assert told_to_templates(None) == {}
    assert told_to_templates(think=False) == {"enable_thinking": False}
    assert told_to_templates(think=True) == {"enable_thinking": True}
    assert told_to_templates("high") == {"enable_thinking": True, "reasoning_effort": "high"}
