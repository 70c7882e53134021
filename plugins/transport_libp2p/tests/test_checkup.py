from __future__ import annotations

import socket
import sys

import pytest
from swarmgate.testing import a_swarm
from swarmgate_transport_libp2p.checkup import bootstrapped, listening, started

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The gateway's own loop: processes are started."""
    return "asyncio"


async def test_a_child_that_does_not_start_is_named() -> None:
    """With the last line that it said."""
    assert (await started([sys.executable, "-c", "pass"])).level == "fine"
    found = await started([sys.executable, "-c", "raise ImportError('no libp2p 0.8.1')"])
    assert (found.code, "ImportError: no libp2p 0.8.1" in found.what) == ("libp2p.broken", True)


async def test_a_port_that_is_taken_is_named() -> None:
    """A free one is left free; of any port, and of names, there is nothing to say."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        [found] = listening([f"/ip4/127.0.0.1/tcp/{port}", "/ip4/0.0.0.0/tcp/0", "/dns4/here.example/tcp/4001"])
    assert (found.code, found.about) == ("libp2p.port_taken", f"/ip4/127.0.0.1/tcp/{port}")
    [found] = listening([f"/ip4/127.0.0.1/tcp/{port}"])
    assert found.level == "fine"
    assert [each.code for each in listening(["/ip4/192.0.2.77/tcp/4001"])] == ["libp2p.port_taken"]


async def test_bootstrap_peers_are_dialled() -> None:
    """Nobody there is a fault, unless another one is; what is no address at all is one in any case."""
    [me] = a_swarm("owner")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        there = f"/ip4/127.0.0.1/tcp/{listener.getsockname()[1]}/p2p/{me.id}"
        gone = f"/ip4/127.0.0.1/tcp/1/p2p/{me.id}"
        assert [each.level for each in await bootstrapped([there])] == ["fine"]
        assert [(each.level, each.code) for each in await bootstrapped([gone])] == [
            ("fault", "libp2p.bootstrap_unreachable")
        ]
        assert [each.level for each in await bootstrapped([gone, there])] == ["note", "fine"]
    assert [each.code for each in await bootstrapped(["10.0.0.1:4001"])] == ["libp2p.bootstrap_unreadable"]
