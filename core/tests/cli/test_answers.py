from __future__ import annotations

import pytest
from scripted_server import Answer, scripted
from swarmgate.cli.answers import Piece, Told, look_up, pieces
from swarmgate.errors import EngineError

HEADERS = {"X-Request-ID": "req_1", "X-Gateway-Worker": "a"}


def event(text: str) -> str:
    return f"data: {text}\n\n"


def delta(field: str, text: str, finish: str = "null") -> str:
    return event(f'{{"choices":[{{"index":0,"delta":{{"{field}":"{text}"}},"finish_reason":{finish}}}]}}')


def test_thoughts_and_text_come_apart() -> None:
    """With who answered, why it ended, and how many tokens it took; the session is told."""
    usage = event('{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}')
    body = delta("reasoning_content", "hm") + delta("content", "yes", '"stop"') + usage + event("[DONE]")
    told = Told()
    with scripted(Answer(body.encode(), headers=HEADERS)) as (settings, asked):
        assert list(pieces(settings, {}, told, session="s")) == [Piece("reasoning", "hm"), Piece("text", "yes")]
    assert told == Told("req_1", "a", "stop", prompt_tokens=3, tokens=2)
    assert asked[0].headers["x-session-id"] == "s"


def test_who_answered_in_the_end_is_looked_up() -> None:
    """Where the gateway keeps no records, what the head said stands."""
    told = Told("req_1", "a")
    with scripted(Answer(b'{"worker":"b","resumed":1}')) as (settings, asked):
        look_up(settings, told)
    assert (told.worker, told.resumed, asked[0].path) == ("b", 1, "/v1/requests/req_1")
    for answer in (Answer(status=404), Answer(b"no")):
        with scripted(answer) as (settings, _):
            look_up(settings, told)
        assert told.worker == "b"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(b'{"error":{"message":"it is full"}}', status=429), "it is full"),
        (Answer((delta("content", "a") + event('{"error":{"message":"it died"}}')).encode()), "it died"),
        (Answer(delta("content", "a").encode()), "the answer broke off"),
    ],
)
def test_faults_are_the_gateways_own_words(answer: Answer, why: str) -> None:
    """Whether it refuses, fails on the way, or just ends."""
    with scripted(answer) as (settings, _), pytest.raises(EngineError, match=why):
        list(pieces(settings, {}, Told()))
