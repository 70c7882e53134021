from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from swarmgate.config.settings import Settings
from swarmgate.errors import ConfigError
from swarmgate.joining import settle, ticket_of, until_rotated
from swarmgate.swarm.kept import keep_pass, kept_pass
from swarmgate.swarm.keys import public_key
from swarmgate.swarm.peerids import peer_id
from swarmgate.swarm.revoked import add, revoke
from swarmgate.swarm.token import Token

pytestmark = pytest.mark.anyio
STRANGER = peer_id(public_key(bytes(32)))


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


def test_a_worker_is_another_node_than_the_gateway_of_its_folder(tmp_path: Path) -> None:
    """Both are owners by the one token that is kept there; their keys, and so their ids, are their own."""
    settings = Settings(state_dir=str(tmp_path), name="n", p2p=True)
    gateway, joined = settle(settings, makes_token=True)
    worker, joined_too = settle(settings, tenant="worker")
    assert gateway.id != worker.id
    assert settle(settings, tenant="worker")[0].id == worker.id
    assert joined.ticket == joined_too.ticket
    assert (joined.folder, joined_too.folder) == (tmp_path, tmp_path / "worker")


def test_what_is_revoked_in_the_folder_counts_for_its_worker(tmp_path: Path) -> None:
    """The revocations are kept where all who live there look."""
    settings = Settings(state_dir=str(tmp_path), name="n", p2p=True)
    _, owner = settle(settings, makes_token=True)
    assert owner.membership is not None
    add(tmp_path, owner.membership, revoke(owner.membership, STRANGER))
    _, worker = settle(settings, tenant="worker")
    assert worker.membership is not None
    assert STRANGER in worker.membership.revocations


async def test_a_running_node_notices_that_the_token_was_rotated(tmp_path: Path) -> None:
    """It says what to do; the same token written again, and one that cannot be read, are no news."""
    settings = Settings(state_dir=str(tmp_path), name="n", p2p=True)
    ticket, said, kept = Token.make(), list[str](), anyio.Path(tmp_path, "swarm.token")

    async def mind() -> None:
        said.append(await until_rotated(settings, ticket, seconds=0.01))

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(mind)
            for text in (f"{ticket.text}\n", "nonsense", f"{ticket.text}\n"):
                await kept.write_text(text)
                await anyio.sleep(0.05)
                assert said == []
            await kept.write_text(Token.make().text)
    assert "start it anew" in said[0]
    assert ticket.text not in said[0]


async def test_a_token_that_was_given_is_not_followed(tmp_path: Path) -> None:
    """Nobody knows where it came from."""
    given = Token.make()
    with anyio.move_on_after(0.1) as scope:
        await until_rotated(Settings(state_dir=str(tmp_path), p2p=True, token=given.text), given, seconds=0.01)
    assert scope.cancelled_caught
