from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest
from swarmgate.errors import Unreachable
from swarmgate.nouns import Endpoint, NodeId, Way
from swarmgate.reaching import Path, Reached, by_scheme, noting_tunnels, shortly
from swarmgate.testing import FakeTransport, a_swarm, an_offer

pytestmark = pytest.mark.anyio


class Slow(FakeTransport):
    """Takes its time over some addresses, writes down what happens, and can lose a path it holds."""

    def __init__(self, *known: str, slow: dict[str, float] | None = None) -> None:
        super().__init__({name: Endpoint("127.0.0.1", port) for port, name in enumerate(known, 1)})
        self.slow = slow or {}
        self.log: list[str] = []
        self.lost = anyio.Event()

    @asynccontextmanager
    async def reach(self, address: str) -> AsyncGenerator[Endpoint]:
        self.log.append(f"?{address}")
        try:
            await anyio.sleep(self.slow.get(address, 0))
            async with super().reach(address) as endpoint:
                self.log.append(f"+{address}")
                yield endpoint
                await anyio.lowlevel.checkpoint()  # leaving takes a moment, as it does where a child is told
                self.log.append(f"-{address}")
        except anyio.get_cancelled_exc_class():
            self.log.append(f"!{address}")
            raise


async def test_addresses_are_tried_in_order() -> None:
    """The first that a transport understands and can open is used, and the way to it can be seen."""
    fake = FakeTransport({"fake://a": Endpoint("127.0.0.1", 1), "fake://b": Endpoint("127.0.0.1", 2)})
    fake.told["fake://a"] = Way(address="fake://a", kind="relayed", rtt_seconds=0.1)
    offer = an_offer("a", addresses=("p2p://x", "fake://gone", "fake://a", "fake://b"))
    async with by_scheme({"fake": fake})(offer) as reached:
        assert fake.held == ["fake://a"]
        assert (reached.address, reached.endpoint.port) == ("fake://a", 1)
        assert reached.way == Way(address="fake://a", kind="relayed", rtt_seconds=0.1)
    assert fake.held == []
    assert reached.way is None


async def test_every_reason_is_told() -> None:
    """Of what no transport understands as well as of what is not there, in the offer's order; no address twice."""
    fake = FakeTransport({"fake://a": Endpoint("127.0.0.1", 1)})
    offer = an_offer("a", addresses=("fake://gone", "p2p://x", "nonsense"))
    told = (
        r"^nobody is known at fake://gone; known: fake://a;"
        r" p2p://x: no transport for 'p2p', only for fake; no transport for 'nonsense', only for fake$"
    )
    with pytest.raises(Unreachable, match=told):
        await by_scheme({"fake": fake})(offer).__aenter__()
    with pytest.raises(Unreachable, match="node-a offers no address"):
        await by_scheme({})(an_offer("a", addresses=())).__aenter__()


async def test_the_next_begins_after_a_head_start_and_the_first_wins() -> None:
    """One that is silent delays the next by no more than its head start, and is given up when that one answers."""
    fake = Slow("fake://a", "fake://b", "fake://c", slow={"fake://a": 60})
    offer = an_offer("a", addresses=("fake://a", "fake://b", "fake://c"))
    with anyio.fail_after(10):
        async with by_scheme({"fake": fake}, head_start=0.05)(offer) as reached:
            assert reached.address == "fake://b"
            await anyio.wait_all_tasks_blocked()
            assert fake.log == ["?fake://a", "?fake://b", "+fake://b", "!fake://a"]
    assert fake.log[4:] == ["-fake://b"]


async def test_who_fails_gives_the_next_its_turn_at_once() -> None:
    """No head start is waited for behind one that has failed already."""
    fake = Slow("fake://c")
    offer = an_offer("a", addresses=("fake://a", "fake://b", "fake://c"))
    with anyio.fail_after(10):
        async with by_scheme({"fake": fake}, head_start=60)(offer) as reached:
            assert reached.address == "fake://c"


async def test_what_worked_is_tried_first_the_next_time() -> None:
    """An address that has failed before is not waited for again while another one works."""
    fake = Slow("fake://a", "fake://b", slow={"fake://a": 60})
    reach, offer = by_scheme({"fake": fake}, head_start=0.05), an_offer("a", addresses=("fake://a", "fake://b"))
    with anyio.fail_after(10):
        async with reach(offer):
            pass
        fake.log.clear()
        async with reach(offer):
            assert fake.log == ["?fake://b", "+fake://b"]


async def test_a_path_that_was_lost_is_tried_last() -> None:
    """An address that can be opened, and leads nowhere, does not keep the others from being used."""
    fake = FakeTransport({"fake://a": Endpoint("127.0.0.1", 1), "fake://b": Endpoint("127.0.0.1", 2)})
    reach, offer = by_scheme({"fake": fake}), an_offer("a", addresses=("fake://a", "fake://b"))
    with pytest.raises(Unreachable, match="silent"):
        async with reach(offer):
            raise Unreachable("silent")
    async with reach(offer) as reached:
        assert reached.address == "fake://b"
    with pytest.raises(KeyError):  # not the path's fault
        async with reach(offer):
            raise KeyError
    async with reach(offer) as reached:
        assert reached.address == "fake://b"


async def test_when_nothing_works_the_offers_own_order_holds_again() -> None:
    """A node that was gone altogether, and is back, is reached in the way that it prefers."""
    known = {"fake://a": Endpoint("127.0.0.1", 1), "fake://b": Endpoint("127.0.0.1", 2)}
    fake = FakeTransport(known)
    reach, offer = by_scheme({"fake": fake}), an_offer("a", addresses=("fake://a", "fake://b"))
    with pytest.raises(Unreachable, match="gone"):
        async with reach(offer):
            raise Unreachable("gone")
    fake.known.clear()
    with pytest.raises(Unreachable, match="nobody is known"):
        await reach(offer).__aenter__()
    fake.known.update(known)
    async with reach(offer) as reached:
        assert reached.address == "fake://a"


async def test_what_happens_to_the_holder_is_not_mistaken_for_a_lost_path() -> None:
    """An Unreachable raised inside the block is the block's own; the path is left in order before it comes out."""
    fake = Slow("fake://a", "fake://b")
    offer = an_offer("a", addresses=("fake://a", "fake://b"))
    with pytest.raises(Unreachable, match="mine"):
        async with by_scheme({"fake": fake})(offer):
            raise Unreachable("mine")
    assert fake.log == ["?fake://a", "+fake://a", "-fake://a"]


async def test_a_transport_that_loses_a_path_ends_the_block() -> None:
    """What it raises while the path is held comes out where the path is used, as itself."""

    class Losing(FakeTransport):
        @asynccontextmanager
        async def reach(self, address: str) -> AsyncGenerator[Endpoint]:
            async with anyio.create_task_group() as tasks:
                yield Endpoint("127.0.0.1", 1)
                tasks.cancel_scope.cancel()
            raise Unreachable("the tunnel collapsed")

    with anyio.fail_after(10), pytest.raises(Unreachable, match="the tunnel collapsed"):
        async with by_scheme({"fake": Losing()})(an_offer("a", addresses=("fake://a",))):
            pass


async def test_cancelling_leaves_the_path() -> None:
    """Who stops waiting, or stops using a path, leaves nothing open."""
    fake = Slow("fake://a", slow={"fake://b": 60})
    with anyio.move_on_after(0.05) as scope:
        async with by_scheme({"fake": fake})(an_offer("a", addresses=("fake://b",))):
            pass
    assert scope.cancelled_caught
    with anyio.move_on_after(0.05) as scope:
        async with by_scheme({"fake": fake})(an_offer("a", addresses=("fake://a",))):
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert fake.held == []
    assert fake.log[-1] == "!fake://a"


async def test_a_member_is_not_reached_by_what_anybody_can_read() -> None:
    """Whatever it offers: on plain TCP nobody proves to be that member.  An address on a list is reached as ever."""
    (member,) = a_swarm("worker")
    tcp, tls = (FakeTransport({f"{name}://a": Endpoint("127.0.0.1", 1)}, scheme=name) for name in ("tcp", "tls"))
    reach = by_scheme({"tcp": tcp, "tls": tls})
    async with reach(an_offer(node=member.id, addresses=("tcp://a", "tls://a"))) as reached:
        assert reached.address == "tls://a"
    with pytest.raises(Unreachable, match=r"^tcp://a: plain tcp is not for members of a swarm; list the address"):
        await reach(an_offer(node=member.id, addresses=("tcp://a",))).__aenter__()
    async with reach(an_offer(node=NodeId("static:a"), addresses=("tcp://a", "tls://a"))) as reached:
        assert reached.address == "tcp://a"


def test_an_address_is_told_shortly_to_who_sees_whose_it_is() -> None:
    """Of a member without its id, service and hints; what somebody wrote on a list as it stands there."""
    (member,) = a_swarm("owner")
    offer = an_offer("a", node=member.id)
    assert shortly(f"tls://{member.id}@[fd00::5]:7479/gateway", offer) == "[fd00::5]:7479 (tls)"
    assert shortly(f"p2p://{member.id}/gateway?at=/ip4/10.0.0.5/tcp/4001", offer) == "p2p"
    assert shortly("tcp://10.0.0.5:50052", offer) == "tcp://10.0.0.5:50052"
    assert shortly("tcp://a:1", an_offer("a", node="a")) == "tcp://a:1"


@pytest.mark.parametrize(
    ("offered", "told"),
    [
        (("p2p://a/x?at=2",), "p2p://a/x?at=2"),
        (("p2p://a/x?at=2", "p2p://a/x?at=1"), "p2p://a/x?at=1"),
        (("p2p://b/x?at=2",), "p2p://a/x?at=1"),
    ],
)
async def test_a_path_is_told_by_the_address_as_it_is_offered_now(offered: tuple[str, ...], told: str) -> None:
    """A member that moved is held by the same path, and is elsewhere; what is offered no more stays as it was."""
    path = Path(an_offer("a", addresses=offered))
    transport = FakeTransport({"p2p://a/x?at=1": Endpoint("127.0.0.1", 1)})
    path.reached = Reached(Endpoint("127.0.0.1", 1), "p2p://a/x?at=1", transport)
    assert path.member(0.0).address == told


def test_our_end_of_a_path_is_not_what_is_told() -> None:
    """Where the member is stands there instead: our end is on loopback, and would pass for something here."""
    (member,) = a_swarm("owner")
    address = f"tls://{member.id}@10.0.0.5:7479/gateway"
    reached = Reached(Endpoint("127.0.0.1", 4242), address, FakeTransport({}))
    told = reached.named("the gateway at 127.0.0.1:4242 is silent", an_offer("a", node=member.id))
    assert told == "the gateway at 10.0.0.5:7479 (tls) is silent"


async def test_which_ends_are_tunnels_is_noted_while_they_are_held() -> None:
    """A path that a protected transport holds looks after itself; plain TCP does not."""
    offer, tunnels = an_offer("a", addresses=("fake://a", "tcp://a")), set[Endpoint]()
    for scheme, noted in (("fake", {Endpoint("127.0.0.1", 1)}), ("tcp", set[Endpoint]())):
        transport = FakeTransport({f"{scheme}://a": Endpoint("127.0.0.1", 1)})
        async with noting_tunnels(by_scheme({scheme: transport}), tunnels)(offer):
            assert tunnels == noted
        assert tunnels == set()
