from __future__ import annotations

from collections.abc import Callable

import pytest
from swarmgate.config.blueprint import Blueprint
from swarmgate.swarm.token import Token

Draw = Callable[..., Blueprint]
Faults = Callable[..., list[str]]
MODEL = '[[backend]]\nuse = "llamacpp"\nmodel = "/m.gguf"\n'
PEERS = '[gateway]\npeer_backend = "echo"\n'


@pytest.mark.parametrize(
    ("variable", "setting"),
    [("LOCALAI_P2P", "p2p"), ("LOCALAI_FEDERATED", "federated"), ("FEDERATED_SERVER", "federated")],
)
def test_each_name_means_what_its_page_says(drawn: Draw, variable: str, setting: str) -> None:
    """It switches the setting on, and is named as where that came from; ours and flags outweigh it, it the files."""
    for text, meant in {"true": True, "1": True, "false": False}.items():
        blueprint = drawn(f"{MODEL}{PEERS}{setting} = {str(not meant).lower()}\n", environ={variable: text})
        assert (getattr(blueprint.settings, setting), blueprint.origins[setting]) == (meant, variable)
    ours = {variable: "true", f"GATEWAY_{setting.upper()}": "false"}
    blueprint = drawn(MODEL + PEERS, environ=ours)
    assert (getattr(blueprint.settings, setting), blueprint.origins[setting]) == (False, f"GATEWAY_{setting.upper()}")
    assert drawn(MODEL + PEERS, environ={variable: "false"}, flags={setting: True}).origins[setting] == f"--{setting}"


def test_what_is_neither_yes_nor_no_is_a_fault(faults: Faults) -> None:
    """It names the variable and what was expected."""
    [fault] = faults(MODEL, environ={"LOCALAI_P2P": "perhaps"})
    assert "LOCALAI_P2P" in fault
    assert "true or false" in fault


def test_yes_in_either_name_federates(drawn: Draw) -> None:
    """Two variables stand for one setting: a no in one does not undo the yes in the other."""
    for yes, no in [("LOCALAI_FEDERATED", "FEDERATED_SERVER"), ("FEDERATED_SERVER", "LOCALAI_FEDERATED")]:
        blueprint = drawn(MODEL + PEERS, environ={no: "false", yes: "true"})
        assert (blueprint.settings.federated, blueprint.origins["federated"]) == (True, yes)


def test_a_federated_server_loads_no_model(drawn: Draw) -> None:
    """It is a door, as `gateway federated` is, unless a model is named on the command line."""
    table = f"{PEERS}{MODEL}"
    assert served(drawn(table)) == ["llamacpp"]
    assert served(drawn(table, environ={"FEDERATED_SERVER": "true"})) == served(drawn(table, local=False)) == []
    named = drawn(PEERS, flags={"model": ["/n.gguf"]}, environ={"FEDERATED_SERVER": "true"})
    assert (served(named), named.settings.federated) == (["llamacpp"], True)


def served(blueprint: Blueprint) -> list[str]:
    return [choice.part.name for choice in blueprint.choices if choice.slot.name == "backend"]


def test_a_token_and_a_no_stay_outside(drawn: Draw) -> None:
    """Like our own variable, a no outweighs a token that may be somebody else's."""
    settings = drawn(MODEL, environ={"LOCALAI_P2P": "false", "TOKEN": Token.make().text}).settings
    assert (settings.p2p, settings.token) == (False, None)


def test_its_models_are_where_they_were(drawn: Draw) -> None:
    """The more telling of its two names counts, and ours before both."""
    both = {"LOCALAI_MODELS_PATH": "/a", "MODELS_PATH": "/b"}
    blueprint = drawn(MODEL, environ=both)
    assert (str(blueprint.settings.models_path()), blueprint.origins["models_dir"]) == ("/a", "LOCALAI_MODELS_PATH")
    assert drawn(MODEL, environ={"MODELS_PATH": "/b"}).settings.models_dir == "/b"
    assert drawn(MODEL, environ={**both, "GATEWAY_MODELS_DIR": "/c"}).settings.models_dir == "/c"
    assert drawn(f'{MODEL}[gateway]\nstate_dir = "/s"\n').settings.models_path().as_posix() == "/s/models"
