from __future__ import annotations

import pytest
from swarmgate.http.kept import Kept, Responses, UnknownResponse
from swarmgate.http.wire.responses.items import ItemBody


def a_response(name: str, previous: str = "", *, owner: str = "", size: int = 50) -> Kept:
    return Kept(
        id=name,
        owner=owner,
        document=b"x" * (size // 2),
        given=(ItemBody(id=f"{name}-in", role="user", content=f"{name}?"),),
        written=(ItemBody(id=f"{name}-out", role="assistant", content=f"{name}!"),),
        previous=previous,
    )


def said(responses: Responses, name: str, owner: str = "") -> list[object]:
    return [item.content for item in responses.conversation(name, owner)]


def test_a_conversation_is_all_that_was_said() -> None:
    """From its beginning, in order; without a name there is none."""
    responses = Responses(1000)
    for name, previous in (("a", ""), ("b", "a"), ("other", ""), ("c", "b")):
        responses.keep(a_response(name, previous))
    assert said(responses, "c") == ["a?", "a!", "b?", "b!", "c?", "c!"]
    assert said(responses, "") == []
    assert responses.find("b", "").id == "b"


def test_what_was_not_used_for_longest_goes_first() -> None:
    """A conversation that goes on keeps its beginning; others make room."""
    responses = Responses(200)
    for name, previous in (("a", ""), ("other", ""), ("b", "a"), ("c", "b"), ("d", "")):
        responses.keep(a_response(name, previous))
    assert said(responses, "c") == ["a?", "a!", "b?", "b!", "c?", "c!"]
    with pytest.raises(UnknownResponse):
        responses.find("other", "")
    responses.keep(a_response("e"))
    with pytest.raises(UnknownResponse):  # it was used longer ago than the conversation was
        responses.find("d", "")


def test_a_conversation_without_its_beginning_is_refused() -> None:
    """The error names what is missing, and what to do."""
    responses = Responses(100)
    for name, previous in (("a", ""), ("b", "a"), ("c", "b")):
        responses.keep(a_response(name, previous))
    assert responses.find("c", "").id == "c"
    with pytest.raises(UnknownResponse, match=r"no response 'a' is kept here.* send the whole conversation") as found:
        responses.conversation("c", "")
    assert (found.value.param, found.value.status) == ("previous_response_id", 404)


def test_what_is_too_large_is_not_kept() -> None:
    """It does not drive out all others."""
    responses = Responses(100)
    responses.keep(a_response("a"))
    responses.keep(a_response("b", size=102))
    assert responses.find("a", "").id == "a"
    with pytest.raises(UnknownResponse, match=r"up to 0\.0001 MB until the gateway stops"):
        responses.find("b", "")


def test_nothing_is_kept_where_there_is_no_room_for_it() -> None:
    """And that is what clients are told."""
    responses = Responses(0)
    responses.keep(a_response("a"))
    with pytest.raises(UnknownResponse, match="this gateway keeps no responses"):
        responses.find("a", "")


def test_only_its_owner_finds_it() -> None:
    """To others it is as if there were none."""
    responses = Responses(1000)
    responses.keep(a_response("a", owner="me"))
    assert responses.item("a-out", "me") is not None
    assert responses.item("a-out", "you") is None
    for asks in (responses.find, responses.conversation, responses.forget):
        with pytest.raises(UnknownResponse):
            asks("a", "you")
    assert responses.find("a", "me").id == "a"


def test_what_is_forgotten_is_gone() -> None:
    """Its items too, and its memory is free again."""
    responses = Responses(100)
    responses.keep(a_response("a"))
    responses.keep(a_response("b"))
    assert responses.item("a-in", "") is not None
    responses.forget("a", "")
    assert responses.item("a-in", "") is None
    responses.keep(a_response("c"))
    assert responses.find("b", "").id == "b"
    assert repr(responses) == "<Responses 2 of 100 bytes>"
