from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from msgspec import UNSET
from swarmgate.chat import Delta, ModelCard, Resume, Usage
from swarmgate.errors import RequestError, Unavailable
from swarmgate.http.wire.asked import Caller
from swarmgate.http.wire.carrying import resume
from swarmgate.http.wire.chat import ChatBody, chat
from swarmgate.http.wire.completion import CompletionBody, completion

CARD = ModelCard(name="m", fingerprint="f")
CALLER = Caller(id="r", tag="t", created=1, tokens=True)


def raw(**fields: Any) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(fields).encode())


def chunks(events: bytes) -> list[dict[str, Any]]:
    return [json.loads(event.removeprefix(b"data: ")) for event in events.split(b"\n\n") if event]


def test_an_answer_is_gone_on_with() -> None:
    """The tokens that are out and their seed come from the body."""
    found = resume(raw(token_ids=[1, 2], seed=-5, fingerprint="f"), CARD, answers=1)
    assert found == Resume(token_ids=(1, 2), seed=-5)
    assert resume(UNSET, CARD, answers=3) is None
    assert resume(msgspec.Raw(b"null"), CARD, answers=3) is None


@pytest.mark.parametrize(
    ("fields", "answers", "message"),
    [
        ({"token_ids": [-1], "seed": 1}, 1, r"resume: .*token_ids"),
        ({"token_ids": "x", "seed": 1}, 1, "resume: "),
        ({"token_ids": []}, 1, "resume: .*seed"),
        ({"token_ids": [], "seed": 2**64}, 1, r"resume\.seed: expected 64 bits"),
        ({"token_ids": [], "seed": 1}, 2, "expected one answer to go on with, found 2"),
    ],
)
def test_what_cannot_be_gone_on_with_is_refused(fields: dict[str, Any], answers: int, message: str) -> None:
    """The field at fault is named."""
    with pytest.raises(RequestError, match=message) as caught:
        resume(raw(**fields), CARD, answers=answers)
    assert (caught.value.param or "").startswith("resume")


def test_other_weights_do_not_go_on() -> None:
    """That is for another node to do, so the error passes."""
    with pytest.raises(Unavailable, match="begun by the weights g, and 'm' here has f"):
        resume(raw(token_ids=[1], seed=1, fingerprint="g"), CARD, answers=1)


@pytest.mark.parametrize("kind", ["chat", "text"])
def test_text_and_its_tokens_stand_in_one_event(kind: str) -> None:
    """Every piece is told, also one without text; the usual fields are as ever."""
    if kind == "chat":
        body = msgspec.convert({"messages": [{"role": "user", "content": "x"}], "stream": True}, ChatBody)
        form = chat(body, (CARD,), CALLER).form
    else:
        form = completion(msgspec.convert({"prompt": "x", "stream": True}, CompletionBody), (CARD,), CALLER).form
    (seed,) = chunks(form.take(0, Delta(seed=7)))
    assert seed["gateway"] == {"seed": 7}
    (silent,) = chunks(form.take(0, Delta(token_ids=(1,))))
    assert (silent["gateway"], silent["choices"][0]["finish_reason"]) == ({"token_ids": [1]}, None)
    (said,) = chunks(form.take(0, Delta(text="a\n\n}", token_ids=(2, 3))))
    assert said["gateway"] == {"token_ids": [2, 3]}
    assert "a\n\n}" in (said["choices"][0].get("text"), said["choices"][0].get("delta", {}).get("content"))
    last = Delta(text="b", token_ids=(4,), finish="stop", stop="END", usage=Usage(completion_tokens=4))
    events = chunks(form.take(0, last))
    assert events[0]["gateway"] == {"token_ids": [4], "stop": "END"}
    assert events[-1]["choices"][0]["finish_reason"] == "stop"
    assert (form.usage.completion_tokens, form.close()) == (4, b"data: [DONE]\n\n")


def test_ordinary_clients_see_none_of_it() -> None:
    """Without the header neither events nor the body's field mean anything."""
    fields = {"messages": [{"role": "user", "content": "x"}], "stream": True, "resume": {"token_ids": [1], "seed": 1}}
    asked = chat(
        msgspec.json.decode(msgspec.json.encode(fields), type=ChatBody), (CARD,), Caller(id="r", tag="t", created=1)
    )
    assert asked.requests[0].resume is None
    assert asked.form.take(0, Delta(token_ids=(1,))) == b""
