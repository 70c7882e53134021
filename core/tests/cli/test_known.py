from __future__ import annotations

import pytest
from scripted_server import Answer, scripted
from swarmgate.cli.known import Known, chosen, served

LIST = b"""{"data":[
 {"id":"embedder","meta":{"ready":true,"abilities":["embedding"]}},
 {"id":"slow","meta":{"ready":false,"abilities":["chat"]}},
 {"id":"quick","aliases":["q"],"meta":{"ready":true,"abilities":["chat"]}},
 {"id":"plain"}]}"""


def test_models_are_known_by_what_the_gateway_lists() -> None:
    """Other servers say less of theirs."""
    with scripted(Answer(LIST)) as (settings, _):
        models = served(settings, able="chat")
    assert [each.name for each in models] == ["embedder", "slow", "quick", "plain"]
    assert models[2] == Known("quick", ("q",), frozenset({"chat"}), ready=True)
    assert models[3].ready


def test_the_first_that_is_ready_is_chosen() -> None:
    """Unless one is named, by whichever name."""
    with scripted(Answer(LIST)) as (settings, _):
        assert [chosen(settings, name, able="chat") for name in (None, "q", "slow")] == ["quick", "q", "slow"]


@pytest.mark.parametrize(
    ("body", "model", "why"),
    [
        (LIST, "crow", "no model is called 'crow'; there are: embedder, slow, quick, plain"),
        (b'{"data":[]}', "crow", "there are: none"),
        (b'{"data":[]}', None, "serves no model that chats"),
        (b"{}", None, "is no gateway that can chat"),
    ],
)
def test_what_cannot_be_chosen_is_said(
    body: bytes, model: str | None, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command ends with status 1."""
    with scripted(Answer(body)) as (settings, _), pytest.raises(SystemExit, match="1"):
        chosen(settings, model, able="chat")
    assert why in capsys.readouterr().err
