from __future__ import annotations

import socket
from collections.abc import Generator
from contextlib import contextmanager

import pytest
from swarmgate.errors import ConfigError
from swarmgate.listening import dialled, here, is_here, leads_to, listen, only_here, url_of
from swarmgate.nouns import Endpoint

pytestmark = pytest.mark.anyio


@contextmanager
def closing(sockets: tuple[socket.socket, ...]) -> Generator[tuple[socket.socket, ...]]:
    try:
        yield sockets
    finally:
        for listener in sockets:
            listener.close()


async def test_a_free_port_is_taken() -> None:
    """Port 0 gives a port, which the URL names; it takes connections at once."""
    with closing(await listen("127.0.0.1:0")) as sockets:
        port = sockets[0].getsockname()[1]
        assert url_of("127.0.0.1:0", sockets) == f"http://127.0.0.1:{port}"
        assert only_here(sockets)
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            assert client.getpeername()[1] == port


async def test_a_name_listens_in_all_its_families_on_one_port() -> None:
    """A host with several addresses is reached on the same port by each."""
    with closing(await listen("localhost:0")) as sockets:
        assert len({listener.getsockname()[1] for listener in sockets}) == 1
        assert only_here(sockets)


async def test_a_taken_port_is_named_with_a_remedy() -> None:
    """The error names the address and what to do about it."""
    with closing(await listen("127.0.0.1:0")) as sockets:
        address = f"127.0.0.1:{sockets[0].getsockname()[1]}"
        with pytest.raises(ConfigError, match=rf"cannot listen on {address}: something else listens .* --listen"):
            await listen(address)


@pytest.mark.parametrize("address", ["no-such-host.invalid:80", "192.0.2.1:0", "127.0.0.1:99999"])
async def test_other_addresses_that_cannot_be(address: str) -> None:
    """Unknown hosts, other machines' addresses and impossible ports are named too."""
    with pytest.raises(ConfigError, match=f"cannot listen on {address}: "):
        await listen(address)


async def test_everywhere_is_reached_from_here() -> None:
    """Who listens everywhere is told an address that can be dialled, and counts as open to others."""
    with closing(await listen("0.0.0.0:0")) as sockets:
        assert url_of("0.0.0.0:0", sockets).startswith("http://127.0.0.1:")
        assert not only_here(sockets)


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104 -- compared, not bound
        ("10.0.0.5", False),
        ("a.lan", False),
    ],
)
def test_only_loopback_is_here(host: str, here: bool) -> None:
    """All else can be reached by others, or may be."""
    assert is_here(host) is here


def test_what_others_dial_is_no_wildcard() -> None:
    """A wildcard becomes an address or a name of this machine; what is one already stays."""
    assert dialled("10.0.0.5") == "10.0.0.5"
    assert dialled("a.lan") == "a.lan"
    assert dialled("0.0.0.0") not in {"", "0.0.0.0"}  # noqa: S104 -- compared, not bound
    assert dialled("::") not in {"", "::"}


async def test_an_endpoint_of_ones_own_is_recognized() -> None:
    """By address and port, and where one listens on every address by any that is this machine's."""
    (one,) = await listen("127.0.0.1:0")
    (every,) = await listen("0.0.0.0:0")
    with one, every:
        port, port_of_every = one.getsockname()[1], every.getsockname()[1]
        assert leads_to((one, every), Endpoint("127.0.0.1", port))
        assert leads_to((one, every), Endpoint("127.0.0.2", port_of_every))
        assert not leads_to((one, every), Endpoint("127.0.0.2", port))
        assert not leads_to((one, every), Endpoint("192.0.2.1", port_of_every))
        assert not leads_to((one, every), Endpoint("localhost", port))
        assert not leads_to((), Endpoint("127.0.0.1", port))


@pytest.mark.parametrize(
    ("host", "near"),
    [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("10.0.0.5", "10.0.0.5"), ("worker.lan", "worker.lan")],  # noqa: S104
)
def test_this_machine_reaches_its_own_listener(host: str, near: str) -> None:
    """What listens everywhere is reached by loopback; anything else where it listens."""
    assert here(host) == near
