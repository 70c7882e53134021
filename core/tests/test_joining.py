from __future__ import annotations

from pathlib import Path

import pytest
from swarmgate.config.settings import Settings
from swarmgate.errors import ConfigError
from swarmgate.joining import settle, ticket_of
from swarmgate.swarm.kept import keep_pass, kept_pass
from swarmgate.swarm.token import Token


def test_who_asks_for_no_swarm_gets_none(tmp_path: Path) -> None:
    """Even with a token in the state folder the node is by itself, and no token is made."""
    keep_pass(tmp_path, Token.make())
    _, identity = settle(Settings(state_dir=str(tmp_path), name="n"), makes_token=True)
    assert (identity.membership, identity.ticket) == (None, None)


def test_a_token_is_made_once_and_kept(tmp_path: Path) -> None:
    """Only whoever may make one makes it; afterwards everybody in the folder joins by it."""
    settings = Settings(state_dir=str(tmp_path / "state"), name="n", p2p=True)
    with pytest.raises(ConfigError, match=r"no token of a swarm yet; give it one with --token-file"):
        settle(settings)
    assert not (tmp_path / "state" / "swarm.token").exists()
    _, first = settle(settings, makes_token=True)
    _, second = settle(settings)
    assert first.membership is not None
    assert second.membership is not None
    assert first.membership.authority == second.membership.authority
    assert kept_pass(tmp_path / "state") == first.ticket == second.ticket


def test_the_token_given_goes_before_the_one_kept_and_is_not_kept(tmp_path: Path) -> None:
    """It says for this start where the node belongs."""
    kept, given = Token.make(), Token.make()
    keep_pass(tmp_path, kept)
    assert ticket_of(Settings(state_dir=str(tmp_path), p2p=True, token=given.text)) == given
    assert kept_pass(tmp_path) == kept
