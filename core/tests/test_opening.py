from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from swarmgate.config.choices import Choice
from swarmgate.contracts import Ledger
from swarmgate.errors import ConfigError, PluginError, Unreachable
from swarmgate.ledger import MemoryLedger
from swarmgate.nouns import LLAMA_RPC
from swarmgate.opening import discover, open_part, schemes, services
from swarmgate.parts import TRANSPORT, NoOptions, Part, PartContext
from swarmgate.testing import FakeProbe, FakeTransport, a_context

pytestmark = pytest.mark.anyio


def choice(thing: object) -> Choice:
    """Return a transport whose opening yields *thing*, or raises it."""

    @asynccontextmanager
    async def opened(options: NoOptions, context: PartContext) -> AsyncGenerator[Any]:
        if isinstance(thing, Exception):
            raise thing
        yield thing

    return Choice(TRANSPORT, Part("t", "For a test.", NoOptions, opened), NoOptions())


async def test_a_part_is_opened_for_as_long_as_the_stack(tmp_path: Path) -> None:
    """It comes out as it is, and what it raises on purpose, too."""
    fake = FakeTransport()
    async with AsyncExitStack() as stack:
        assert await open_part(choice(fake), a_context(tmp_path), stack) is fake
        with pytest.raises(Unreachable, match="taken"):
            await open_part(choice(Unreachable("taken")), a_context(tmp_path), stack)


async def test_what_does_not_open_or_is_something_else_is_the_part_s_fault(tmp_path: Path) -> None:
    """The message names the part, and what it lacks."""
    async with AsyncExitStack() as stack:
        with pytest.raises(PluginError, match="transport 't' could not be opened: LookupError: x"):
            await open_part(choice(LookupError("x")), a_context(tmp_path), stack)
        with pytest.raises(PluginError, match=r"'t' opened a MemoryLedger, which lacks what Transport asks: .*ways"):
            await open_part(choice(MemoryLedger()), a_context(tmp_path), stack)


def test_one_part_for_each_scheme_and_service() -> None:
    """Two that want to be the one are a fault of the configuration."""
    one, other = FakeTransport(), FakeTransport(scheme="other")
    assert schemes({"a": one, "b": other}) == {"fake": one, "other": other}
    with pytest.raises(ConfigError, match="two transports understand fake:// addresses, 'b' is one; remove one"):
        schemes({"a": one, "b": FakeTransport()})
    probe = FakeProbe()
    assert services({"p": probe}) == {LLAMA_RPC: probe}
    with pytest.raises(ConfigError, match="two probes look into the service 'llama-rpc', 'q' is one; remove one"):
        services({"p": probe, "q": FakeProbe()})


@pytest.mark.parametrize("error", [OSError("no network"), Unreachable("nobody")])
async def test_a_discovery_that_fails_is_named(error: Exception) -> None:
    """What it raises on purpose comes out as itself."""

    class Falling:
        async def run(self, ledger: Ledger) -> None:
            await anyio.lowlevel.checkpoint()
            raise error

    with pytest.raises((PluginError, Unreachable)) as caught:
        await discover("d", Falling(), MemoryLedger())
    expected = "nobody" if isinstance(error, Unreachable) else "discovery 'd' failed: OSError: no network"
    assert str(caught.value) == expected
