from __future__ import annotations

import os

import pytest
from swarmgate.cli.reading import forget_token, settings_of
from swarmgate.config.settings import Settings
from swarmgate.swarm.token import Token

NAMES = ("GATEWAY_TOKEN", "LOCALAI_P2P_TOKEN", "P2P_TOKEN", "TOKEN")


def test_children_do_not_inherit_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it is read it is out of the environment, by whatever name; unless it is for somebody else."""
    for name in NAMES:
        monkeypatch.setenv(name, "secret")
    forget_token(Settings())
    assert {os.environ.get(name) for name in NAMES} == {"secret"}
    forget_token(Settings(p2p=True))
    assert not set(NAMES) & os.environ.keys()


def test_the_settings_say_who_gave_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody, where there is none."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    assert settings_of(None, {})[1] == ""
    text = Token.make().text
    monkeypatch.setenv("P2P_TOKEN", text)
    settings, giver = settings_of(None, {"name": "n"})
    assert (settings.token, settings.name, giver) == (text, "n", "P2P_TOKEN")
