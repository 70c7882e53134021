from __future__ import annotations

import time
from pathlib import Path

import pytest
from swarmgate.cli.passes import day, make_folder, owned_token, ticket_in_use, told
from swarmgate.config.settings import Settings
from swarmgate.errors import ConfigError
from swarmgate.swarm.facts import facts_of
from swarmgate.swarm.kept import keep_pass
from swarmgate.swarm.membership import invite
from swarmgate.swarm.token import Token

TOKEN = Token(bytes(32))


def test_an_invite_is_not_enough_to_let_others_in(tmp_path: Path) -> None:
    """The token is; what it was wanted for is in the refusal."""
    settings = Settings(state_dir=str(tmp_path), p2p=True)
    keep_pass(tmp_path, TOKEN)
    assert owned_token(settings, "x") == ticket_in_use(settings) == TOKEN
    keep_pass(tmp_path, invite(TOKEN, "node", days=1, key=bytes(32), now=time.time()))
    with pytest.raises(ConfigError, match="by an invite and cannot let others in: do it on one that holds the token"):
        owned_token(settings, "let others in")


def test_what_is_told_has_role_and_end() -> None:
    """Also that it is over."""
    facts = facts_of(invite(TOKEN, "worker", days=1, key=bytes(32), now=1_600_000_000.0))
    assert told(facts, now=1_600_000_000.0).endswith(f"for {facts.peer} as a worker, until 2020-09-14 12:26 UTC")
    assert told(facts, now=1_700_000_000.0).endswith("as a worker, which ended on 2020-09-14 12:26 UTC")
    assert "whoever has it may do everything" in told(facts_of(TOKEN), now=0.0)
    assert day(0.0) == "1970-01-01 00:00 UTC"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """As at the gateway's start."""
    (tmp_path / "f").touch()
    with pytest.raises(ConfigError, match=r"the state folder .*f cannot be used"):
        make_folder(Settings(state_dir=str(tmp_path / "f")))
    make_folder(Settings(state_dir=str(tmp_path / "a" / "b")))
    assert (tmp_path / "a" / "b").is_dir()
