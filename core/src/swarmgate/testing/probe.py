"""What every probe must do, as tests."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

import anyio
import pytest

from swarmgate.api import Endpoint, Probe, Unreachable
from swarmgate.testing.streams import a_closed_port, a_greeter, an_echo, until

#: How long a probe may take over anything, in seconds: the noticing of silence included.
PATIENCE = 45.0


class ProbeContract:
    """Runs a probe through its contract."""

    def make(self) -> AbstractAsyncContextManager[Probe]:
        """Return an open probe."""
        raise NotImplementedError

    def serve(self) -> AbstractAsyncContextManager[Endpoint]:
        """Return something the probe can look into; leaving it takes it away."""
        raise NotImplementedError

    @pytest.mark.anyio
    async def test_meets_the_protocol(self) -> None:
        """It has what a probe needs, and names its service."""
        async with self.make() as probe:
            assert isinstance(probe, Probe)
            assert probe.service

    @pytest.mark.anyio
    async def test_measures_this_machine(self) -> None:
        """The memory here is a number of bytes."""
        async with self.make() as probe:
            assert await probe.here() >= 0

    @pytest.mark.anyio
    async def test_says_what_there_is(self) -> None:
        """Labels are texts, and memory is a positive number of bytes; nobody has it yet."""
        with anyio.fail_after(PATIENCE):
            async with self.make() as probe, self.serve() as endpoint, probe.watch(endpoint) as reports:
                labels = await until(reports, bool)
                assert all(isinstance(fact, str) for pair in labels.items() for fact in pair)
                assert int(labels["memory_bytes"]) > 0
                assert not labels.get("leased_by")

    @pytest.mark.anyio
    async def test_looking_disturbs_nobody(self) -> None:
        """Two can look at once, and again after both have left."""
        with anyio.fail_after(PATIENCE):
            async with self.make() as probe, self.serve() as endpoint:
                for _ in range(2):
                    async with probe.watch(endpoint) as one, probe.watch(endpoint) as two:
                        assert (await until(one, bool)).keys() == (await until(two, bool)).keys()

    @pytest.mark.anyio
    async def test_notices_that_it_is_gone(self) -> None:
        """Whoever watches learns of the end, with the endpoint's name."""
        with anyio.fail_after(PATIENCE):
            async with self.make() as probe, self.serve() as other:
                assert other
                async with self.serve() as endpoint:
                    watching = probe.watch(endpoint)
                    reports = await watching.__aenter__()
                    await until(reports, bool)
                with pytest.raises(Unreachable, match=str(endpoint.port)):
                    await until(reports, lambda _: False)
                await watching.__aexit__(None, None, None)

    @pytest.mark.anyio
    async def test_nobody_there_is_unreachable(self) -> None:
        """A refused connection is told as such, with the endpoint's name."""
        with anyio.fail_after(PATIENCE), a_closed_port() as endpoint:
            async with self.make() as probe:
                await self._refuses(probe, endpoint)

    @pytest.mark.anyio
    async def test_strangers_are_unreachable(self) -> None:
        """Something that echoes, and something that waits to hear all first, are told as no such service."""
        with anyio.fail_after(2 * PATIENCE):
            async with self.make() as probe, an_echo() as echo, a_greeter(b"hello, stranger") as greeter:
                await self._refuses(probe, echo)
                await self._refuses(probe, greeter)

    async def _refuses(self, probe: Probe, endpoint: Endpoint) -> None:
        with pytest.raises(Unreachable, match=str(endpoint.port)):
            async with probe.watch(endpoint) as reports:
                await until(reports, lambda _: False)
