from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from swarmgate.chat import Usage
from swarmgate.decisions import Account, Decision
from swarmgate.http.wire.requests import RequestDocument, RequestList, request_json, request_summary, requests_json
from swarmgate.nouns import Candidate

AT = datetime(2026, 1, 2, tzinfo=UTC)


def test_every_place_and_the_shadow_are_told() -> None:
    """Scores, hindrances, who was chosen, and whom the shadow would have asked; given up, nobody was."""
    decisions = (
        Decision(
            chosen="b",
            reason="least loaded",
            candidates=(Candidate(name="a"), Candidate(name="b")),
            scores=(2.0, 1.5),
            hindered=(("c", "resting"),),
            shadow="a",
        ),
        Decision(chosen="", reason="nobody is left", hindered=(("a", "spent"),)),
    )
    account = Account(
        id="r",
        path="/v1/x",
        at=AT,
        status=502,
        seconds=1.23456,
        queue_seconds=0.0126,
        usage=Usage(prompt_tokens=3, completion_tokens=4, cached_tokens=1),
        decisions=tuple((1, decision) for decision in decisions),
        left_out=5,
    )
    document = msgspec.json.decode(request_json(account))
    assert document["decisions"] == [
        {
            "answer": 1,
            "chosen": "b",
            "reason": "least loaded",
            "shadow": "a",
            "places": [
                {"place": "a", "chosen": False, "score": 2.0},
                {"place": "b", "chosen": True, "score": 1.5},
                {"place": "c", "chosen": False, "hindrance": "resting"},
            ],
        },
        {
            "answer": 1,
            "chosen": None,
            "reason": "nobody is left",
            "places": [{"place": "a", "chosen": False, "hindrance": "spent"}],
        },
    ]
    assert (document["seconds"], document["queue_ms"], document["decisions_left_out"]) == (1.2346, 13, 5)
    assert (document["prompt_tokens"], document["completion_tokens"], document["cached_tokens"]) == (3, 4, 1)


def test_what_is_not_known_is_left_out() -> None:
    """Of a request that has only begun there is its id, its time and its path; both forms can be read back."""
    account = Account(id="r", path="/v1/x", at=AT)
    found = msgspec.json.decode(request_json(account), type=RequestDocument)
    assert (found.status, found.model, found.decisions) == (None, msgspec.UNSET, [])
    (short,) = msgspec.json.decode(requests_json([account], 7), type=RequestList).data
    assert (short.id, short.at, short.error) == ("r", AT, msgspec.UNSET)


def test_a_running_request_says_what_it_is_at() -> None:
    """Waiting with its place, reading, writing; over once there is a status."""

    def phase(**facts: object) -> tuple[str, int | msgspec.UnsetType]:
        told = request_summary(Account(id="r", path="/v1/x", at=AT, **facts))  # pyright: ignore[reportArgumentType]
        return str(told.phase), told.queue_place

    assert phase(queue_place=3) == ("queued", 3)
    assert phase() == ("reading", msgspec.UNSET)
    assert phase(writing_seconds=0.5) == ("writing", msgspec.UNSET)
    assert phase(writing_seconds=0.5, status=200) == ("over", msgspec.UNSET)


def test_the_rate_is_counted_from_the_first_piece() -> None:
    """Of too few tokens, or of an answer that came at once, there is none."""

    def rate(tokens: int, seconds: float | None) -> float | msgspec.UnsetType:
        usage = Usage(completion_tokens=tokens)
        return request_summary(
            Account(id="r", path="/v1/x", at=AT, usage=usage, writing_seconds=seconds)
        ).tokens_per_second

    assert rate(21, 2.0) == 10.0
    assert {rate(2, 2.0), rate(0, None), rate(9, 0.0)} == {msgspec.UNSET}
