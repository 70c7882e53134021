from __future__ import annotations

import secrets
from contextlib import AsyncExitStack, aclosing

import anyio
import pytest
from swarmgate.api import background
from swarmgate_discovery_mdns.network import SERVICE_TYPE, Network, interfaces_here, speaking

pytestmark = pytest.mark.anyio
LOOPBACK = ["127.0.0.1"]
ADDRESSES = ("tls://x@10.0.0.9:7946/llama-rpc",)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # zeroconf knows no other loop


def a_word() -> bytes:
    """Return a TXT record that is nobody else's: all who run on this machine hear one another, other tests as well."""
    return b"\x08" + secrets.token_hex(4).encode()


async def test_what_came_before_anybody_listened_is_heard() -> None:
    """A record that is in zeroconf's cache by then would not be sent again for a long time."""
    word, name = a_word(), secrets.token_hex(4)
    async with Network.opened(LOOPBACK) as here, Network.opened(LOOPBACK) as there:
        await there.announce(name, word, ADDRESSES, last=False)
        with anyio.fail_after(10):
            while f"{name}.{SERVICE_TYPE}" not in here._zeroconf.zeroconf.cache.names():  # noqa: ASYNC110  # nobody tells
                await anyio.sleep(0.01)
            async with aclosing(here.heard()) as records:
                while await anext(records) != word:
                    pass


async def test_each_word_is_heard_once_and_ours_is_not() -> None:
    """It is sent three times, and asked for; what we announce ourselves is no news."""
    heard: list[bytes] = []
    mine, *words = [a_word() for _ in range(4)]

    async def say(here: Network, there: Network) -> None:
        await here.announce(secrets.token_hex(4), mine, ADDRESSES, last=False)
        theirs = secrets.token_hex(4)
        for word in words:
            await there.announce(theirs, word, ADDRESSES, last=False)
            await anyio.sleep(1.5)  # all that is sent again has been by then

    async with (
        Network.opened(LOOPBACK) as here,
        Network.opened(LOOPBACK) as there,
        background() as tasks,
        aclosing(here.heard()) as records,
    ):
        tasks.start_soon(say, here, there)
        with anyio.fail_after(15):
            while words[-1] not in heard:
                heard.append(await anext(records))
    assert [word for word in heard if word in (mine, *words)] == words


async def test_without_an_address_there_is_no_network() -> None:
    """It is an error of the operating system's kind, which is tried again later."""
    async with AsyncExitStack() as stack:
        with pytest.raises(OSError, match="no network address"):
            await stack.enter_async_context(Network.opened([]))


def test_there_is_an_address_here() -> None:
    """Loopback counts where there is nothing else."""
    assert interfaces_here()


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param([(1, "127.0.0.1"), (1, "::1")], ("127.0.0.1",), id="loopback, where there is nothing else"),
        pytest.param([(1, "127.0.0.1"), (2, "10.0.0.5")], ("10.0.0.5",), id="what others can hear"),
        pytest.param([(2, "fd00::5"), (1, "127.0.0.1")], ("fd00::5",), id="IPv6 alone"),
        pytest.param([(2, "fd00::5"), (2, "10.0.0.5")], ("10.0.0.5", "fd00::5"), id="both families"),
        pytest.param([(2, "fd00::6"), (2, "fd00::5"), (3, "fd01::1")], ("fd00::6", "fd01::1"), id="one an interface"),
        pytest.param([(2, "fd00::bad"), (2, "fd00::5")], ("fd00::5",), id="the first that works"),
        pytest.param([(2, "fe80::1"), (2, "169.254.7.7"), (1, "127.0.0.1")], ("127.0.0.1",), id="none of one link"),
    ],
)
def test_it_speaks_by_what_others_can_hear(found: list[tuple[int, str]], expected: tuple[str, ...]) -> None:
    """All IPv4 addresses, and of IPv6 one of each interface; loopback if there is nothing else."""
    assert speaking(found, works=lambda address: "bad" not in address) == expected


def test_an_address_that_cannot_be_bound_is_no_address() -> None:
    """A fresh IPv6 address cannot be for some seconds, while it is looked for another machine that has it."""
    assert speaking([(1, "127.0.0.1"), (2, "2001:db8::1")]) == ("127.0.0.1",)
