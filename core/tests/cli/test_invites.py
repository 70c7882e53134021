from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from live_gateway import live_gateway
from live_worker import clean_environ
from swarmgate.swarm.membership import join
from swarmgate.swarm.revoked import load
from swarmgate.swarm.token import Invite, Token, read_pass

Gateway = Callable[..., subprocess.CompletedProcess[str]]
DAY = 86_400.0


@pytest.fixture(autouse=True)
def _configured(home: Path) -> None:  # pyright: ignore[reportUnusedFunction]  # a fixture
    """Have a token in the state folder beside the configuration, and nobody listening."""
    home.joinpath("gateway.toml").write_text('[gateway]\nlisten = "127.0.0.1:0"\nstate_dir = "state"\n')
    (home / "state").mkdir(mode=0o700)
    (home / "state" / "swarm.token").write_text(Token(bytes(32)).text)


def test_an_invite_is_printed_alone(gateway: Gateway) -> None:
    """What it is goes to standard error; the machine that has it is what was said, for as long."""
    done = gateway("token", "invite", "--role", "node", "--days", "2")
    ticket = read_pass(done.stdout)
    assert isinstance(ticket, Invite)
    assert done.stdout == f"{ticket.text}\n"
    peer = join(ticket, bytes(32)).examine(ticket.certificate)
    assert peer.role == "node"
    assert abs(peer.until - time.time() - 2 * DAY) < 120
    assert f"for {peer.id} as a node, until 2" in done.stderr
    assert ticket.text not in done.stderr


def test_by_default_it_is_a_worker_for_thirty_days(gateway: Gateway) -> None:
    """The least that is of use; two are never the same."""
    one, two = (read_pass(gateway("token", "invite").stdout) for _ in range(2))
    assert isinstance(one, Invite)
    peer = join(one, bytes(32)).examine(one.certificate)
    assert peer.role == "worker"
    assert abs(peer.until - time.time() - 30 * DAY) < 120
    assert one != two


def test_what_cannot_be_is_refused(gateway: Gateway) -> None:
    """Roles and times that are none, and names that would be confused."""
    for words, reason in (
        (["--role", "owner"], "'owner' is not one of"),
        (["--days", "0"], "0.0 is not in the range"),
        (["--days", "1e9"], "is not in the range"),
        (["--name", "12D3KooWx"], "looks like a peer id"),
    ):
        done = gateway("token", "invite", *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert reason in done.stderr
    assert gateway("token", "invite", "--name", "shed").returncode == 0
    assert "'shed' was invited already" in gateway("token", "invite", "--name", "shed").stderr


def test_invites_are_listed_with_what_became_of_them(gateway: Gateway) -> None:
    """By name, role, end and peer; never the invite itself."""
    assert gateway("token", "invites").stdout == "nobody was invited here\n"
    text = gateway("token", "invite", "--name", "shed").stdout
    gateway("token", "invite", "--role", "viewer", "--days", "0.00001")
    gateway("token", "invite", "--name", "attic")
    gateway("token", "revoke", "attic")
    done = gateway("token", "invites")
    rows = [line.split()[:3] for line in done.stdout.splitlines()]
    assert rows == [
        ["name", "role", "state"],
        ["shed", "worker", "good"],
        ["-", "viewer", "ended"],
        ["attic", "worker", "revoked"],
    ]
    assert text[4:20] not in done.stdout
    told = json.loads(gateway("token", "invites", "--json").stdout)
    assert [each["state"] for each in told] == ["good", "ended", "revoked"]


def test_revoking_is_kept_where_no_gateway_runs(gateway: Gateway, home: Path) -> None:
    """By name or peer id; it says that it counts from the next start on, and a second time that it is known."""
    gateway("token", "invite", "--name", "shed")
    (shed,) = json.loads(gateway("token", "invites", "--json").stdout)
    done = gateway("token", "revoke", "shed")
    assert done.returncode == 0
    assert done.stdout.startswith(f"{shed['peer']} is revoked; no gateway answers at ")
    assert "this counts from its next start on" in done.stdout
    assert "rotate" not in done.stdout
    assert "is revoked already; " in gateway("token", "revoke", shed["peer"]).stdout
    owner = join(Token(bytes(32)), (home / "state" / "node.key").read_bytes())
    assert len(load(home / "state", owner)) == 1
    assert owner.revocations.peers == {shed["peer"]}
    for meant, reason in (
        ("attic", "nobody was invited here as 'attic'; give the peer id, which begins with 12D3KooW (names: shed)"),
        ("12D3KooWx", "is no peer id"),
        (owner.id, "this is the machine itself"),
    ):
        done = gateway("token", "revoke", meant)
        assert (done.returncode, reason in done.stderr) == (2, True), done.stderr


@pytest.mark.journey
def test_a_running_gateway_acts_by_it_at_once(tmp_path: Path) -> None:
    """It says so; one of another swarm refuses, and says why; a revoked machine does not start by its invite."""
    folder = tmp_path / "live"
    folder.mkdir()

    def command(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "swarmgate", *words]
        environ = {**clean_environ(), **variables}
        return subprocess.run(line, cwd=folder, env=environ, capture_output=True, text=True, timeout=100, check=False)

    with live_gateway(folder, [{"use": "echo", "model": "echo"}], p2p=True) as gateway:
        shed = command("token", "invite", "--name", "shed").stdout
        done = command("token", "revoke", "shed")
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith(f"the gateway at {gateway.url} acts by it from now on and tells the swarm\n")
        command("token", "new", "--state-dir", "other")
        command("token", "invite", "--name", "attic", "--state-dir", "other")
        done = command("token", "revoke", "attic", "--state-dir", "other")
        assert "was not told (a certificate is not of this swarm's authority" in done.stdout
        assert gateway.process.poll() is None
        said = gateway.said()
    assert "sgt_" not in said
    (folder / "shed").mkdir()
    (folder / "shed" / "revocations").write_bytes((folder / "revocations").read_bytes())
    done = command("run", "--state-dir", "shed", "--listen", "127.0.0.1:0", TOKEN=shed)
    assert done.returncode == 2
    assert "is revoked in its swarm" in done.stderr
    assert shed[4:20] not in done.stderr + done.stdout


@pytest.mark.journey
def test_the_start_tells_how_to_join(home: Path, environ: dict[str, str]) -> None:
    """`gateway run --p2p` makes a token and prints the commands; the token is neither printed nor logged."""
    (home / "state" / "swarm.token").unlink()
    with home.joinpath("gateway.toml").open("a") as file:
        file.write('[[backend]]\nuse = "echo"\n')
    line = [sys.executable, "-m", "swarmgate", "run", "--p2p", "--federated", "--log-level", "debug"]
    with subprocess.Popen(
        line, cwd=home, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            told = ""
            while "gateway token invite" not in told:
                read = process.stdout.readline()
                assert read, f"ended after: {told}"
                told += read
            process.send_signal(signal.SIGTERM)
            rest, logged = process.communicate(timeout=30)
        finally:
            process.kill()
    token = (home / "state" / "swarm.token").read_text().strip()
    assert isinstance(read_pass(token), Token)
    assert "gateway token show > swarm.token" in told
    assert "gateway worker llama-cpp-rpc --token-file swarm.token" in told
    assert "gateway run --federated --token-file swarm.token" in told
    assert token not in told + rest + logged
