from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import anyio
import pytest
from libp2p_nodes import PATIENCE, a_context_of, a_sidecar, contact, sidecars, until
from structlog.testing import capture_logs
from swarmgate.api import GATEWAY, LLAMA_RPC, Endpoint, Unreachable
from swarmgate.testing import a_swarm, an_offer
from swarmgate.testing.streams import an_echo, converse
from swarmgate_transport_libp2p.kept import file_in, load
from swarmgate_transport_libp2p.ledger import GossipLedger
from swarmgate_transport_libp2p.opening import open_sidecar
from swarmgate_transport_libp2p.options import HostOptions
from swarmgate_transport_libp2p.sidecar import Sidecar
from swarmgate_transport_libp2p.transport import P2pTransport

pytestmark = pytest.mark.swarm


def kill(sidecar: Sidecar) -> int:
    """Kill the child, and return how often one had been started."""
    assert sidecar.child.pid
    os.kill(sidecar.child.pid, signal.SIGKILL)
    return sidecar.child.starts


@pytest.mark.anyio
@pytest.mark.parametrize("victim", [0, 1])
async def test_a_path_survives_the_childs_death(tmp_path: Path, victim: int) -> None:
    """What went through is reset; the endpoint stays where it was, and leads there again, whichever side died."""
    async with sidecars(tmp_path) as pair, an_echo() as echo:
        here, there = map(P2pTransport, pair)
        async with there.expose(GATEWAY, echo) as (address,), here.reach(address) as endpoint:
            async with await anyio.connect_tcp(endpoint.host, endpoint.port) as stream:
                await stream.send(b"hello")
                assert await stream.receive() == b"hello"
                starts = kill(pair[victim])
                with anyio.fail_after(2.0), pytest.raises(anyio.BrokenResourceError):
                    await stream.receive()
            await until(lambda: pair[victim].child.starts > starts)
            await until(lambda: pair[1].membership.id in pair[0].connected)
            assert await talks_again(endpoint.port) == b"hello again"
            await until(lambda: here.ways()[0].reason == "")


async def talks_again(port: int) -> bytes:
    """Return what comes back at *port*, as soon as anything does."""
    with anyio.fail_after(PATIENCE):
        while True:
            try:
                return await converse(Endpoint("127.0.0.1", port), b"hello again")
            except (OSError, anyio.BrokenResourceError, ExceptionGroup):
                await anyio.sleep(0.05)  # the listener, or the peer, is not back yet


@pytest.mark.anyio
async def test_the_swarm_forms_again_after_a_childs_death(tmp_path: Path) -> None:
    """Gossip goes on, and what was posted meanwhile arrives."""
    async with sidecars(tmp_path) as pair:
        await contact(*pair)
        async with (
            GossipLedger(pair[0], compare_seconds=0.5).running() as one,
            GossipLedger(pair[1], compare_seconds=0.5).running() as other,
        ):
            kill(pair[0])
            await until(lambda: not pair[0].connected)
            await one.post(an_offer("meanwhile", node=pair[0].membership.id))
            await until(lambda: bool(other.offers(LLAMA_RPC)))
            await one.post(an_offer("after", node=pair[0].membership.id))
            await until(lambda: len(other.offers(LLAMA_RPC)) == 2)


@pytest.mark.anyio
async def test_the_port_stays_the_same(tmp_path: Path) -> None:
    """What others know of us holds after the child's death and after a restart; if the port is taken, we move."""
    (member,) = a_swarm("owner")
    async with a_sidecar(member, tmp_path, listen_maddrs=[]) as sidecar:
        before = await sidecar.addresses()
        kill(sidecar)
        await until(lambda: sidecar.child.starts == 2)
        assert await sidecar.addresses() == before
    port = load(file_in(tmp_path, member.authority)).port
    assert before[0].endswith(f"/tcp/{port}")
    assert not before[0].startswith("/ip4/0.0.0.0")
    async with a_sidecar(member, tmp_path, listen_maddrs=[]) as sidecar:
        assert await sidecar.addresses() == before
    with socket.create_server(("0.0.0.0", port)):  # noqa: S104  # as the host does
        async with a_sidecar(member, tmp_path, listen_maddrs=[]) as sidecar:
            assert await sidecar.addresses() != before


@pytest.mark.anyio
async def test_a_taken_port_is_said(tmp_path: Path) -> None:
    """Where an address was asked for and is taken, nothing works, and the reason is told to whoever asks."""
    (member,) = a_swarm("owner")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"/ip4/127.0.0.1/tcp/{taken.getsockname()[1]}"
        async with open_sidecar(HostOptions(listen_maddrs=[where]), a_context_of(member, tmp_path)) as sidecar:
            with anyio.fail_after(PATIENCE):
                with pytest.raises(Unreachable, match="something listens there already"):
                    await sidecar.addresses()
                async with an_echo() as echo:
                    with pytest.raises(Unreachable, match="something listens there already"):
                        async with P2pTransport(sidecar).expose(GATEWAY, echo):
                            pass
            assert sidecar.child.starts == 1


@pytest.mark.anyio
async def test_parts_share_one_host(tmp_path: Path) -> None:
    """The second part that is opened uses the first one's child, adds its bootstrap peers, and says what it ignores."""
    one, other = a_swarm("owner", "owner")
    context = a_context_of(other, tmp_path / "two")
    async with a_sidecar(one, tmp_path / "one") as first:
        where = f"{(await first.addresses())[0]}/p2p/{one.id}"
        with capture_logs() as logs:
            async with (
                open_sidecar(HostOptions(listen_maddrs=["/ip4/127.0.0.1/tcp/0"]), context) as sidecar,
                open_sidecar(HostOptions(bootstrap_peers=[where, "nonsense"], limits=True), context) as again,
            ):
                assert again is sidecar
                await until(lambda: one.id in sidecar.connected)
                assert sidecar.child.starts == 1
    assert [log["options"] for log in logs if log["event"] == "p2p.options_ignored"] == [["limits"]]
    assert next(log["reason"] for log in logs if log["event"] == "p2p.bootstrap_refused").startswith("'nonsense'")


@pytest.mark.anyio
async def test_secrets_stay_out_of_argv_environment_and_log(tmp_path: Path) -> None:
    """Nobody who lists processes or reads the log learns a key."""
    (member,) = a_swarm("owner")
    with capture_logs() as logs:
        async with a_sidecar(member, tmp_path, log_level="debug", lib_log_level="debug") as sidecar:
            process = Path(f"/proc/{sidecar.child.pid}")
            seen = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    seen += repr(logs).encode() + b"".join(each.read_bytes() for each in tmp_path.iterdir())
    for secret in (member.key, member.sealing, member.rendezvous):
        assert secret not in seen
        assert secret.hex().encode() not in seen
        assert repr(secret)[2:-1].encode() not in seen
