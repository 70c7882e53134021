from __future__ import annotations

import secrets
import socket
from typing import Any

import pytest
from swarmgate_transport_libp2p.messages import Begin

pytestmark = [pytest.mark.anyio, pytest.mark.swarm]


@pytest.fixture
def anyio_backend() -> str:
    """Run on trio alone: that is what py-libp2p knows."""
    return "trio"


async def where(*, beside: str, port: int = 0) -> list[str]:
    """Return where a host listens that is to do so on loopback, and *beside* it."""
    from swarmgate_transport_libp2p.child.hosting import open_host

    begin: dict[str, Any] = dict.fromkeys(("certificate", "authority", "rendezvous", "sealing"), b"")
    listen = (f"/ip4/127.0.0.1/tcp/{port}",)
    async with open_host(Begin(secrets.token_bytes(32), **begin, revoked=(), listen=listen, beside=(beside,))) as host:
        return [str(each).partition("/p2p/")[0] for each in host.get_transport_addrs()]


async def test_the_other_family_has_the_same_port() -> None:
    """One hole in a firewall does for both."""
    four, six = await where(beside="/ip6/::1")
    assert six == f"/ip6/::1/tcp/{four.rpartition('/')[2]}"


async def test_the_other_family_has_another_port_where_that_is_taken() -> None:
    """Something else that listens there costs the number, and nothing more."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
        port = taken.getsockname()[1]
        four, six = await where(beside="/ip6/::1", port=port)
    assert four == f"/ip4/127.0.0.1/tcp/{port}"
    assert six.startswith("/ip6/::1/tcp/")
    assert six != f"/ip6/::1/tcp/{port}"


async def test_without_the_other_family_it_does_with_one() -> None:
    """A machine that lacks IPv6, or the address, listens where it can."""
    (only,) = await where(beside="/ip6/2001:db8::1")
    assert only.startswith("/ip4/127.0.0.1/tcp/")
