from __future__ import annotations

from pathlib import Path

import anyio
import msgspec
import pytest
from structlog.testing import capture_logs
from swarmgate.api import GATEWAY, ConfigError, Endpoint, Movable, Unreachable
from swarmgate.testing import a_context, a_swarm
from swarmgate.testing.streams import a_server, an_echo, answers, converse
from swarmgate_transport_tls import TlsOptions, open_tls, transport
from swarmgate_transport_tls.transport import open_transport
from tls_pairs import Pair, ended_and_good, free_port, is_cut, kill, opened, pair, until, until_listening

PATIENCE = 20.0


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio alone: the contract proves that the loop does not matter."""
    return "asyncio"


async def refused(held: Pair, address: str = "") -> str:
    """Return why the far side cannot be reached."""
    with anyio.fail_after(PATIENCE), pytest.raises(Unreachable) as caught:
        async with held.here.reach(address or held.address):
            pass
    return str(caught.value)


# ---- options and opening


@pytest.mark.anyio
async def test_without_a_swarm_it_does_not_open(tmp_path: Path) -> None:
    """The error names the remedy: a token."""
    with pytest.raises(ConfigError, match="gateway run --p2p"):
        async with open_tls(TlsOptions(), a_context(tmp_path)):
            pass


@pytest.mark.anyio
async def test_it_opens_with_a_membership(tmp_path: Path) -> None:
    """The part takes the node's place in its swarm from its context."""
    context = a_context(tmp_path)
    (context.membership,) = a_swarm("owner")
    async with (
        an_echo() as echo,
        open_tls(TlsOptions(listen="127.0.0.1:0"), context) as made,
        made.expose(GATEWAY, echo) as addresses,
    ):
        assert addresses[0].startswith(f"tls://{context.membership.id}@127.0.0.1:")


@pytest.mark.anyio
async def test_it_says_where_the_machine_is_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses that the machine gets later are told, the port stays; so is the lack of any but loopback."""
    now = [("eth0", "192.0.2.1")]
    monkeypatch.setattr(transport, "own_addresses", lambda: now)
    context = a_context(tmp_path)
    (context.membership,) = a_swarm("owner")
    async with (
        an_echo() as echo,
        open_tls(TlsOptions(listen="0.0.0.0:0"), context) as made,
        made.expose(GATEWAY, echo) as first,
    ):
        assert isinstance(made, Movable)
        now = [("wlan0", "198.51.100.7")]
        assert await made.addresses(first[0]) == (first[0].replace("192.0.2.1", "198.51.100.7"),)
        now = []
        assert await made.addresses(first[0]) == (first[0].replace("192.0.2.1", "127.0.0.1"),)


@pytest.mark.parametrize(("listen", "announce"), [("7479", []), ("", ["a b"])])
@pytest.mark.anyio
async def test_options_that_cannot_be_read_are_named(listen: str, announce: list[str]) -> None:
    """The option is blamed, and nothing is started."""
    (member,) = a_swarm("owner")
    with pytest.raises(ConfigError, match="^listen: " if listen else "^announce: "):
        async with open_transport(member, listen=listen, announce=announce, timeout_seconds=1):
            pass


def test_a_time_out_is_positive() -> None:
    """A peer that may take no time at all would never be reached."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"timeout_seconds": 0}, TlsOptions)


# ---- where it listens


@pytest.mark.anyio
async def test_the_default_port_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two nodes on one machine need no configuration: the second takes a free port, and says so."""
    monkeypatch.setattr(transport, "DEFAULT_PORT", free_port())
    one, other = a_swarm()
    with capture_logs() as logs:
        async with (
            an_echo() as echo,
            open_transport(one, listen="", announce=["127.0.0.1"], timeout_seconds=5) as first,
            open_transport(other, listen="", announce=["127.0.0.1"], timeout_seconds=5) as second,
            first.expose(GATEWAY, echo) as (at_first,),
            second.expose(GATEWAY, echo) as (at_second,),
        ):
            assert f"@127.0.0.1:{transport.DEFAULT_PORT}/" in at_first
            assert f":{transport.DEFAULT_PORT}/" not in at_second
            async with second.reach(at_first) as endpoint:
                assert await converse(endpoint, b"hello") == b"hello"
    assert [log["event"] for log in logs].count("transport.port_taken") == 1


@pytest.mark.anyio
async def test_a_port_that_was_asked_for_does_not_give_way() -> None:
    """A firewall may have been opened for it, so another one would not do."""
    (member,) = a_swarm("owner")
    async with an_echo() as echo, open_transport(member, listen=str(echo), announce=[], timeout_seconds=5) as made:
        with pytest.raises(Unreachable, match=r"cannot listen on 127\.0\.0\.1:.*in use; choose another"):
            async with made.expose(GATEWAY, echo):
                pass


@pytest.mark.anyio
async def test_a_path_begins_on_loopback_alone() -> None:
    """Nobody on another machine can use a path of ours."""
    async with an_echo() as echo, pair(echo) as held, held.here.reach(held.address) as endpoint:
        assert endpoint.host == "127.0.0.1"
        assert not await answers(Endpoint("127.0.0.2", endpoint.port))


@pytest.mark.anyio
async def test_secrets_stay_in_the_pipes() -> None:
    """Neither the arguments nor the environment of the child hold the key, and no file of it is left open."""
    async with an_echo() as echo, pair(echo) as held, held.here.reach(held.address) as endpoint:
        assert await converse(endpoint, b"hello") == b"hello"
        for made, member in ((held.here, held.one), (held.far, held.other)):
            folder = Path(f"/proc/{made.pid}")
            for file in ("cmdline", "environ"):
                data = (folder / file).read_bytes()
                assert member.key not in data
                assert member.key.hex().encode() not in data
            links = [str(link.readlink()) for link in (folder / "fd").iterdir()]
            assert [link for link in links if "memfd" in link or "key" in link] == []


# ---- who is refused


@pytest.mark.anyio
async def test_another_swarm_is_refused() -> None:
    """Two tokens are two worlds: the door stays shut without a word, and the message asks for the token."""
    (stranger,) = a_swarm("owner")
    async with an_echo() as echo, pair(echo) as held, opened(stranger) as theirs:
        why = await refused(Pair(theirs, held.far, stranger, held.other, held.address))
    assert "is the token the same on both sides?" in why


@pytest.mark.anyio
async def test_another_peer_is_refused() -> None:
    """An address that leads to somebody else of the swarm is not taken for the one it names: its door stays shut."""
    async with an_echo() as echo, pair(echo) as held:
        address = held.address.replace(held.other.id, held.one.id)
        assert "with who looks for another member there" in await refused(held, address)


@pytest.mark.anyio
async def test_a_service_that_is_not_exposed_is_refused() -> None:
    """Members are told what is not there."""
    async with an_echo() as echo, pair(echo) as held:
        assert "llama-rpc is not offered here" in await refused(held, held.address.replace("/gateway", "/llama-rpc"))


@pytest.mark.anyio
async def test_a_worker_uses_nobody() -> None:
    """An invite for a machine that lends does not open what others offer; it can still be reached."""
    async with an_echo() as echo, pair(echo, "worker", "owner") as held:
        assert "is a worker" in await refused(held)
    async with an_echo() as echo, pair(echo, "viewer", "worker") as held, held.here.reach(held.address) as endpoint:
        assert await converse(endpoint, b"hello") == b"hello"


@pytest.mark.parametrize("who", ["caller", "called"])
@pytest.mark.anyio
async def test_an_invite_that_has_ended_is_refused(who: str) -> None:
    """Whichever side it is on."""
    ended, good = ended_and_good()
    one, other = (ended, good) if who == "caller" else (good, ended)
    async with (
        an_echo() as echo,
        opened(other) as far,
        opened(one) as here,
        far.expose(GATEWAY, echo) as addresses,
    ):
        assert "certificate expired" in (await refused(Pair(here, far, one, other, addresses[0]))).replace(
            "has expired", "expired"
        )


@pytest.mark.anyio
async def test_who_does_not_answer_is_given_up_in_time() -> None:
    """A port that accepts and says nothing costs the time-out, and the message has it."""
    one, other = a_swarm()

    async def silent(stream: anyio.abc.SocketStream) -> None:
        await anyio.sleep_forever()

    async with a_server(silent) as endpoint, opened(one, seconds=0.3) as here:
        with anyio.fail_after(5), pytest.raises(Unreachable, match=r"no answer within 0\.3 s"):
            async with here.reach(f"tls://{other.id}@{endpoint}/gateway"):
                pass


@pytest.mark.anyio
async def test_an_attempt_that_is_given_up_ends() -> None:
    """Who tries several addresses at once and takes the first leaves nothing behind of the others."""
    one, other = a_swarm()
    came, went = anyio.Event(), anyio.Event()

    async def silent(stream: anyio.abc.SocketStream) -> None:
        came.set()
        async for _ in stream:
            pass
        went.set()

    async with a_server(silent) as endpoint, opened(one, seconds=60) as here:
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:

                async def attempt() -> None:
                    async with here.reach(f"tls://{other.id}@{endpoint}/gateway"):
                        pytest.fail("nobody answers there")

                tasks.start_soon(attempt)
                await came.wait()
                tasks.cancel_scope.cancel()
            await went.wait()
            assert here.ways() == ()


@pytest.mark.anyio
async def test_a_name_nobody_knows_is_unreachable() -> None:
    """Names are looked up, and failing to is the path's fault."""
    one, other = a_swarm()
    async with opened(one) as here:
        with pytest.raises(Unreachable, match=r"no-such-host\.invalid"):
            async with here.reach(f"tls://{other.id}@no-such-host.invalid:1/gateway"):
                pass


# ---- revocation


@pytest.mark.parametrize("side", ["far", "here"])
@pytest.mark.anyio
async def test_who_is_revoked_is_cut_at_once(side: str) -> None:
    """A running tunnel ends within a second of the revocation, on whichever side it is heard; none follows."""
    async with (
        an_echo() as echo,
        pair(echo) as held,
        held.here.reach(held.address) as endpoint,
        await anyio.connect_tcp(endpoint.host, endpoint.port) as stream,
    ):
        await stream.send(b"hello")
        assert await stream.receive() == b"hello"
        if side == "far":
            held.other.revocations.add(held.one.id)
        else:
            held.one.revocations.add(held.other.id)
        with anyio.fail_after(1):
            assert await is_cut(stream)
        assert "is revoked" in await refused(held)


@pytest.mark.anyio
async def test_a_revocation_outlives_the_child() -> None:
    """A child that is started anew is told who is revoked."""
    async with an_echo() as echo, pair(echo) as held:
        held.other.revocations.add(held.one.id)
        pid = kill(held.far)
        await until(lambda: held.far.pid not in {None, pid})
        await until_listening(held)
        assert f"{held.one.id} is revoked" in await refused(held)


@pytest.mark.anyio
async def test_a_way_tells_its_round_trip() -> None:
    """The round trip is measured while nothing is carried, and is short on loopback."""
    async with an_echo() as echo, pair(echo) as held, held.here.reach(held.address):
        await until(lambda: held.here.ways()[0].rtt_seconds is not None)
        (way,) = held.here.ways()
        assert (way.address, way.kind, way.reason) == (held.address, "direct", "")
        assert 0 < (way.rtt_seconds or 0) < 1


@pytest.mark.anyio
async def test_a_service_that_is_taken_back_cuts_its_tunnels() -> None:
    """What is exposed no longer is used no longer, and the way says why."""
    async with an_echo() as echo:
        one, other = a_swarm()
        async with opened(other) as far, opened(one) as here:
            async with far.expose(GATEWAY, echo) as addresses:
                reached = here.reach(addresses[0])
                endpoint = await reached.__aenter__()
                stream = await anyio.connect_tcp(endpoint.host, endpoint.port)
                await stream.send(b"hello")
                assert await stream.receive() == b"hello"
            async with stream:
                with anyio.fail_after(1):
                    assert await is_cut(stream)
            await until(lambda: "not offered here" in here.ways()[0].reason)
            await reached.__aexit__(None, None, None)
