from __future__ import annotations

from msgspec import Struct
from swarmgate.http.describing import asking, holding, looking, streaming


class Question(Struct):
    """What is asked."""


class Reply(Struct):
    """What is answered."""


class Wrong(Struct):
    """What is said of errors."""


def test_a_stream_is_described_by_its_events() -> None:
    """An end that is no JSON is one of them; without one there is none."""
    content = streaming(Reply, Question, end="[DONE]", error=Wrong)
    assert content["application/json"] == holding(Reply)["application/json"]
    data = content["text/event-stream"]["schema"]["properties"]["data"]
    assert data["anyOf"][0]["const"] == "[DONE]"
    events = data["anyOf"][1]["contentSchema"]["anyOf"]
    assert [event["$ref"].rpartition("/")[2] for event in events] == ["Question", "Wrong"]
    bare = streaming(Reply, Question)["text/event-stream"]["schema"]["properties"]["data"]
    assert bare["contentMediaType"] == "application/json"


def test_errors_have_the_dialects_own_shape() -> None:
    """Whatever is posted or looked at."""
    posted = asking("ask", "Ask.", Question, holding(Reply), error=Wrong)["post"]
    looked = looking("look", "Look.", {200: ("It.", holding(Reply))}, 404, method="delete", error=Wrong)["delete"]
    for operation in (posted, looked):
        assert operation["responses"]["404"]["content"] == holding(Wrong)
    assert posted["requestBody"]["content"] == holding(Question)
    assert "parameters" not in posted
