from __future__ import annotations

import pytest
from swarmgate.chat import ModelCard
from swarmgate.errors import RequestError, UnknownModel
from swarmgate.http.wire.asked import Caller, chosen

_ONE = ModelCard(name="org/one", aliases=("uno",))
_TWO = ModelCard(name="two")


def test_a_model_is_chosen_by_name_or_alias() -> None:
    """Both a card's name and its aliases lead to it."""
    assert chosen((_ONE, _TWO), "org/one") is _ONE
    assert chosen((_ONE, _TWO), "uno") is _ONE


def test_the_only_model_needs_no_name() -> None:
    """A request may leave the model out where there is no choice."""
    assert chosen((_ONE,), None) is _ONE
    assert chosen((_ONE,), "") is _ONE


def test_several_models_need_a_name() -> None:
    """With more than one model, or none, a request without a name is refused with what there is."""
    with pytest.raises(RequestError, match=r"'org/one', 'two'") as found:
        chosen((_ONE, _TWO), None)
    assert found.value.param == "model"
    with pytest.raises(RequestError, match="none"):
        chosen((), None)


def test_an_unknown_model_is_told_what_there_is() -> None:
    """The error lists the first of what is served, not thousands."""
    many = tuple(ModelCard(name=f"m{number}") for number in range(1000))
    with pytest.raises(UnknownModel, match=r"'m7', and 992 more") as found:
        chosen(many, "x")
    assert found.value.status == 404


def test_the_header_names_the_session_first() -> None:
    """X-Session-ID wins over the fields of the body, of which the first that is given counts."""
    assert Caller(id="i", tag="t", created=0, session="s").session_of("key", "user") == "s"
    assert Caller(id="i", tag="t", created=0).session_of(None, "user") == "user"
    assert Caller(id="i", tag="t", created=0).session_of(None, None) == ""
