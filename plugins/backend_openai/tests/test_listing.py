from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.api import ModelCard, NodeId, WireError
from swarmgate_backend_openai.listing import Choosing, cards, foretold, read_listing, wanted

ME = NodeId("me")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


def drawn(*models: dict[str, Any], gateway: dict[str, str] | None = None, **choosing: Any) -> tuple[ModelCard, ...]:
    return cards(listed(*models, gateway=gateway), Choosing(me=ME, node="n", **choosing))[0]


def listed(*models: dict[str, Any], gateway: dict[str, str] | None = None) -> Any:
    document: dict[str, Any] = {"object": "list", "data": list(models)}
    return read_listing(json.dumps(document | ({"gateway": gateway} if gateway else {})).encode())


def test_a_gateway_says_all_about_a_model() -> None:
    """Weights, context, slots, abilities and ways come from its list."""
    meta = {"ready": True, "abilities": ["embedding"], "slots": 3, "fingerprint": "f", "n_ctx_train": 99, "n_vocab": 7}
    model = {"id": "m", "aliases": ["n"], "context_length": 50, "meta": meta | {"paths": [["g"], ["g", "h"]]}}
    (card,) = drawn(model, gateway={"id": "g", "name": "first"})
    assert card == ModelCard(
        name="m",
        abilities=frozenset({"embedding"}),
        slots=3,
        context_length=50,
        context_train=99,
        fingerprint="f",
        vocabulary=7,
        aliases=("n",),
        node="n",
        paths=(("g",), ("g", "h")),
    )


@pytest.mark.parametrize(
    ("model", "context"),
    [
        ({"id": "llama-server", "meta": {"n_ctx_train": 2048, "n_params": 1, "n_ctx": 512}}, 512),
        ({"id": "vllm", "max_model_len": 4096, "owned_by": "vllm", "root": "x"}, 4096),
        ({"id": "ollama", "object": "model", "created": 1700000000, "owned_by": "library"}, 0),
        ({"id": "odd", "context_length": "many", "meta": "none", "created": 1.5}, 0),
    ],
)
def test_other_servers_say_what_they_say(model: dict[str, Any], context: int) -> None:
    """The context's length is found where each writes it; nothing else is needed, and weights are nobody's word."""
    (card,) = drawn(model)
    assert (card.name, card.context_length, card.fingerprint, card.paths) == (model["id"], context, "", ())
    assert card.abilities == {"chat", "completion", "embedding"}


def test_ways_that_lead_back_are_no_ways() -> None:
    """A gateway that has a model only from this one has nothing for it."""
    gateway = {"id": "g"}
    assert drawn({"id": "m", "meta": {"paths": [["g", "me"]]}}, gateway=gateway) == ()
    (card,) = drawn({"id": "m", "meta": {"paths": [["g", "me"], ["g", "h"]]}}, gateway=gateway)
    assert card.paths == (("g", "h"),)


def test_only_what_is_wanted_is_taken() -> None:
    """Under another name if that is wished for; what is missing is named."""
    pairs = wanted(("b", "mine = c", "ghost"))
    found, reason = cards(
        listed({"id": "a"}, {"id": "b"}, {"id": "c"}), Choosing(me=ME, node="n", wanted=pairs, slots=2)
    )
    assert [(card.name, card.slots) for card in found] == [("b", 2), ("mine", 2)]
    assert reason == ""
    assert Choosing(me=ME, node="n", wanted=pairs).named_there("mine") == "c"
    assert cards(listed({"id": "a"}), Choosing(me=ME, node="n", wanted={"x": "x"})) == (
        (),
        "it has no model called 'x'",
    )


def test_what_is_wanted_is_known_beforehand() -> None:
    """Before anybody has looked there are cards for the models that the options name."""
    assert [card.name for card in foretold(Choosing(me=ME, node="n", wanted={"a": "b"}))] == ["a"]


def test_it_is_ready_if_one_model_is() -> None:
    """Where none is, the reason is the server's."""
    loading = {"id": "a", "meta": {"ready": False, "reason": "loading"}}
    assert cards(listed(loading), Choosing(me=ME, node="n"))[1] == "a: loading"
    assert cards(listed(loading, {"id": "b"}), Choosing(me=ME, node="n"))[1] == ""
    assert cards(listed(), Choosing(me=ME, node="n")) == ((), "it serves no model")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"object": "list"}', b'{"data": 7}', b'{"data": [{}]}'])
def test_garbage_is_no_list(body: bytes) -> None:
    """What is no list of models is told as such."""
    with pytest.raises(WireError, match="no list of models"):
        read_listing(body)


@given(JSON)
def test_no_fact_breaks_it(noise: object) -> None:
    """A model's facts may be anything: what makes no sense is left out."""
    model = {"id": "m", "meta": {"slots": noise, "paths": noise, "abilities": noise, "n_ctx": noise}, "aliases": noise}
    (card,) = drawn(model | {"created": None, "context_length": noise})
    assert card.slots >= 1
    assert card.context_length >= 0


def test_all_models_have_the_labels_of_their_server() -> None:
    """Those that were found, and those that are only wanted yet."""
    (card,) = drawn({"id": "a"}, labels={"weight": "2.5"})
    assert card.labels == {"weight": "2.5"}
    (wished,) = foretold(Choosing(me=ME, node="n", wanted={"a": "b"}, labels={"weight": "2.5"}))
    assert wished.labels == {"weight": "2.5"}
