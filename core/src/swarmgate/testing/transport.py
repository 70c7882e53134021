"""What every transport must do, as tests; bytes are sent past it, over plain sockets."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import anyio
import pytest

from swarmgate.api import GATEWAY, LLAMA_RPC, Endpoint, Movable, Transport, Unreachable
from swarmgate.testing.ledger import PATIENCE
from swarmgate.testing.streams import a_closed_port, a_greeter, an_echo, answers, converse

_LARGE = bytes(range(256)) * (4 << 12)  # 4 MiB, more than any buffer on the way holds


class TransportContract:
    """Runs a transport through its contract: :meth:`make` is here, :meth:`far` another node."""

    #: Whether an endpoint is a listener of the transport's own, which closes when the path is left.
    tunnels = True
    #: Whether an address stops working when it is exposed no longer.
    unexposes = True
    #: Within so many seconds reaching somebody who is not there has failed.
    gives_up_seconds = 10.0

    def make(self) -> AbstractAsyncContextManager[Transport]:
        """Return an open transport."""
        raise NotImplementedError

    def far(self) -> AbstractAsyncContextManager[Transport]:
        """Return another node's open transport, which :meth:`make`'s can reach; at first, just another."""
        return self.make()

    @asynccontextmanager
    async def unreachable(self, transport: Transport) -> AsyncGenerator[str]:
        """Yield an address of the right scheme where nobody is."""
        with a_closed_port() as endpoint:
            yield f"{transport.scheme}://{endpoint}"

    @asynccontextmanager
    async def path(self, exposed: Endpoint) -> AsyncGenerator[Endpoint]:
        """Expose *exposed* over there, reach it from here, and yield the local end."""
        async with (
            self.far() as far,
            self.make() as here,
            far.expose(GATEWAY, exposed) as addresses,
            here.reach(addresses[0]) as endpoint,
        ):
            yield endpoint

    @pytest.mark.anyio
    async def test_meets_the_protocol(self) -> None:
        """It has every method a transport needs, and a plain scheme."""
        async with self.make() as transport:
            assert isinstance(transport, Transport)
            assert transport.scheme.replace("+", "").isalnum()
            assert transport.scheme == transport.scheme.lower()

    @pytest.mark.anyio
    async def test_exposed_addresses_have_the_scheme(self) -> None:
        """By its scheme others find the transport that reaches an address; none is told twice."""
        async with an_echo() as echo, self.make() as transport, transport.expose(GATEWAY, echo) as addresses:
            assert addresses
            assert len(set(addresses)) == len(addresses)
            assert all(address.startswith(f"{transport.scheme}://") for address in addresses)

    @pytest.mark.anyio
    async def test_who_can_move_says_where_it_is(self) -> None:
        """Asked again, it tells the same addresses as long as nothing has moved, of each exposure its own."""
        async with (
            an_echo() as echo,
            self.make() as transport,
            transport.expose(GATEWAY, echo) as first,
            transport.expose(LLAMA_RPC, echo) as second,
        ):
            if not isinstance(transport, Movable):
                pytest.skip("it has no method addresses: what it exposes stays where it is")
            assert await transport.addresses(first[0]) == first
            assert await transport.addresses(second[0]) == second

    @pytest.mark.anyio
    async def test_what_is_exposed_can_be_reached(self) -> None:
        """What is exposed answers at the endpoint of each of its addresses."""
        with anyio.fail_after(3 * PATIENCE):
            async with (
                an_echo() as echo,
                self.far() as far,
                self.make() as here,
                far.expose(GATEWAY, echo) as addresses,
            ):
                for address in addresses:
                    async with here.reach(address) as endpoint:
                        assert await converse(endpoint, b"hello") == b"hello"

    @pytest.mark.anyio
    async def test_a_way_is_told_while_it_is_held(self) -> None:
        """Who holds a path can see which way it goes, under the address it asked for, and nobody sees it afterwards."""
        with anyio.fail_after(3 * PATIENCE):
            async with (
                an_echo() as echo,
                self.far() as far,
                self.make() as here,
                far.expose(GATEWAY, echo) as addresses,
            ):
                address = addresses[0]
                assert address not in {way.address for way in here.ways()}
                async with here.reach(address) as endpoint:
                    assert await converse(endpoint, b"hello") == b"hello"
                    (way,) = (way for way in here.ways() if way.address == address)
                    assert way.kind in {"direct", "relayed"}
                    assert way.rtt_seconds is None or 0 <= way.rtt_seconds < PATIENCE
                assert address not in {way.address for way in here.ways()}

    @pytest.mark.anyio
    async def test_carries_much_both_ways(self) -> None:
        """Four MiB go out and come back, unchanged, while both directions are busy."""
        with anyio.fail_after(3 * PATIENCE):
            async with an_echo() as echo, self.path(echo) as endpoint:
                assert await converse(endpoint, _LARGE) == _LARGE

    @pytest.mark.anyio
    async def test_half_close_passes_through(self) -> None:
        """One side may end and go on listening: the answer comes after the end of the question."""
        with anyio.fail_after(PATIENCE):
            async with (
                an_echo() as echo,
                self.path(echo) as endpoint,
                await anyio.connect_tcp(endpoint.host, endpoint.port) as stream,
            ):
                await stream.send(b"question")
                await stream.send_eof()
                assert b"".join([chunk async for chunk in stream]) == b"question"

    @pytest.mark.anyio
    async def test_connections_do_not_mix(self) -> None:
        """Many connections through one path each get their own bytes back."""
        back: dict[int, bytes] = {}
        with anyio.fail_after(PATIENCE):
            async with an_echo() as echo, self.path(echo) as endpoint:

                async def talk(number: int) -> None:
                    back[number] = await converse(endpoint, bytes([number]) * 50_000)

                async with anyio.create_task_group() as tasks:
                    for number in range(8):
                        tasks.start_soon(talk, number)
        assert back == {number: bytes([number]) * 50_000 for number in range(8)}

    @pytest.mark.anyio
    async def test_two_services_are_told_apart(self) -> None:
        """Each exposed service has an address of its own, and leads to itself."""
        with anyio.fail_after(PATIENCE):
            async with (
                an_echo() as one,
                a_greeter(b"I am two") as two,
                self.far() as far,
                self.make() as here,
                far.expose(GATEWAY, one) as first,
                far.expose(LLAMA_RPC, two) as second,
            ):
                assert not {*first} & {*second}
                async with here.reach(first[0]) as to_one, here.reach(second[0]) as to_two:
                    assert await converse(to_one, b"one") == b"one"
                    assert await converse(to_two, b"two") == b"I am two"

    @pytest.mark.anyio
    async def test_two_exposures_of_one_service_are_told_apart(self) -> None:
        """A node may offer the same service twice: each has its own addresses, and one may end before the other."""
        with anyio.fail_after(3 * PATIENCE):
            async with (
                an_echo() as one,
                a_greeter(b"I am two") as two,
                self.far() as far,
                self.make() as here,
                AsyncExitStack() as first_of_them,
            ):
                first = await first_of_them.enter_async_context(far.expose(LLAMA_RPC, one))
                async with far.expose(LLAMA_RPC, two) as second:
                    assert not {*first} & {*second}
                    async with here.reach(first[0]) as to_one, here.reach(second[0]) as to_two:
                        assert await converse(to_one, b"one") == b"one"
                        assert await converse(to_two, b"two") == b"I am two"
                    await first_of_them.aclose()
                    async with here.reach(second[0]) as to_two:
                        assert await converse(to_two, b"two") == b"I am two"

    @pytest.mark.anyio
    async def test_leaving_closes(self) -> None:
        """After a path is left, nothing of ours listens any more, and it can be opened again."""
        with anyio.fail_after(PATIENCE):
            async with (
                an_echo() as echo,
                self.far() as far,
                self.make() as here,
                far.expose(GATEWAY, echo) as addresses,
            ):
                for _ in range(2):
                    async with here.reach(addresses[0]) as endpoint:
                        assert await converse(endpoint, b"again") == b"again"
                    while self.tunnels and await answers(endpoint):  # noqa: ASYNC110 -- nothing to wait on
                        await anyio.sleep(0.01)

    @pytest.mark.anyio
    async def test_nobody_there_is_unreachable(self) -> None:
        """Where nobody is, reaching says so in bounded time, with the address in the message."""
        async with self.make() as transport, self.unreachable(transport) as address:
            with anyio.fail_after(self.gives_up_seconds), pytest.raises(Unreachable) as caught:
                async with transport.reach(address):
                    pass
            assert transport.ways() == ()
        assert address.rpartition("/")[2] in str(caught.value)

    @pytest.mark.anyio
    async def test_who_has_gone_is_unreachable(self) -> None:
        """An address that was good, of a node that has gone with its service: that is said in bounded time, too."""
        async with self.make() as here:
            async with (
                an_echo() as echo,
                self.far() as far,
                far.expose(GATEWAY, echo) as addresses,
                here.reach(addresses[0]) as endpoint,
            ):
                assert await converse(endpoint, b"hello") == b"hello"
            with anyio.fail_after(self.gives_up_seconds), pytest.raises(Unreachable):
                async with here.reach(addresses[0]):
                    pass

    @pytest.mark.anyio
    async def test_another_scheme_is_unreachable(self) -> None:
        """Addresses of other transports, and what is no address at all, are refused as unreachable."""
        async with self.make() as transport:
            for address in ("no-such-scheme://10.0.0.1:1", "10.0.0.1:1", "", f"{transport.scheme}:"):
                with pytest.raises(Unreachable):
                    async with transport.reach(address):
                        pass

    @pytest.mark.anyio
    async def test_what_is_exposed_no_longer_is_unreachable(self) -> None:
        """An address works only while it is held."""
        if not self.unexposes:
            pytest.skip("unexposes = False: the address is the service's own")
        with anyio.fail_after(3 * PATIENCE):
            async with an_echo() as echo, self.far() as far, self.make() as here:
                async with far.expose(GATEWAY, echo) as addresses:
                    pass
                with pytest.raises(Unreachable):
                    async with here.reach(addresses[0]):
                        pass
