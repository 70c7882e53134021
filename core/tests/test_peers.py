from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated

import anyio
import msgspec
import pytest
from msgspec import Meta
from swarmgate.contracts import Backend
from swarmgate.echo import EchoBackend, EchoOptions
from swarmgate.errors import ConfigError, Unreachable
from swarmgate.nouns import GATEWAY, Endpoint, NodeId, Offer, Worker
from swarmgate.parts import SECRET, NoOptions, Options
from swarmgate.peers import Peers, peer_options
from swarmgate.rota import Key
from swarmgate.testing import a_request, an_offer
from swarmgate.testing.answers import write
from swarmgate.ways import ASLEEP

pytestmark = pytest.mark.anyio


def peer(name: str, port: int = 1) -> Worker:
    return Worker(offer=an_offer(name, service=GATEWAY), endpoint=Endpoint("127.0.0.1", port))


class Watched(EchoBackend):
    """Notes when it is to look again."""

    def __init__(self, house: House) -> None:
        super().__init__()
        self.house = house

    def look_again(self) -> None:
        self.house.looks += 1


class House:
    """Takes backends in, opens them, and is told of crews."""

    def __init__(self, *, failures: int = 0) -> None:
        self.backends: dict[str, Backend] = {}
        self.opened: list[str] = []
        self.entered = self.most = self.looks = self.left = 0
        self.announced: tuple[Offer, ...] = ()
        self.asked: list[str] = []
        self.failures = failures
        self.send, self._receive = anyio.create_memory_object_stream[tuple[Worker, ...]](9)

    @asynccontextmanager
    async def open(self, worker: Worker) -> AsyncGenerator[Backend]:
        self.opened.append(str(worker.endpoint))
        if self.failures:
            self.failures -= 1
            raise Unreachable("not yet")
        yield Watched(self)

    @contextmanager
    def used(self, key: Key) -> Generator[None]:
        self.asked.append(key[0])
        yield

    def enter(self, name: str, backend: Backend) -> str:
        self.backends[f"{name}!"] = backend
        self.entered += 1
        self.most = max(self.most, self.entered)
        return f"{name}!"

    def leave(self, name: str) -> None:
        del self.backends[name]
        self.entered -= 1
        self.left += 1

    @asynccontextmanager
    async def following(self, linger_seconds: float = 60.0) -> AsyncGenerator[None]:
        async def crews() -> AsyncIterator[tuple[Worker, ...]]:
            async for crew in self._receive:
                yield crew

        peers = Peers(self.open, self.enter, self.leave, me=NodeId("node-me"), linger_seconds=linger_seconds)
        with self.send, self._receive:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(peers.follow, crews(), lambda: self.announced, self.used)
                yield
                tasks.cancel_scope.cancel()

    async def until(self, what: Callable[[], bool]) -> None:
        with anyio.fail_after(5):
            while not what():  # noqa: ASYNC110 -- seen from outside, there is nothing to wait on
                await anyio.sleep(0.005)


async def test_each_gateway_becomes_a_backend_but_not_this_one() -> None:
    """Under the name of its offer; a renewal changes nothing."""
    house = House()
    async with house.following():
        for _ in range(2):
            await house.send.send((peer("a", 1), peer("b", 2), peer("me", 3)))
        await house.until(lambda: sorted(house.backends) == ["a!", "b!"])
        await anyio.wait_all_tasks_blocked()
        assert sorted(house.opened) == ["127.0.0.1:1", "127.0.0.1:2"]
    assert house.backends == {}


async def test_one_whose_offer_lapsed_is_kept_for_a_while() -> None:
    """So that its models are still known; if it comes back meanwhile, nothing has happened."""
    house = House()
    async with house.following(linger_seconds=0.3):
        await house.send.send((peer("a"),))
        await house.until(lambda: "a!" in house.backends)
        await house.send.send(())
        await anyio.sleep(0.1)
        await house.send.send((peer("a"),))
        await anyio.sleep(0.4)
        assert list(house.backends) == ["a!"]
        assert len(house.opened) == 1
        await house.send.send(())
        await house.until(lambda: not house.backends)
        await house.send.send((peer("a"),))
        await house.until(lambda: "a!" in house.backends)


async def test_one_whose_offer_lapsed_is_looked_at_at_once() -> None:
    """It may well be gone: until its next look it would pass for ready, and requests would go there."""
    house = House()
    async with house.following():
        await house.send.send((peer("a"),))
        await house.until(lambda: "a!" in house.backends)
        assert house.looks == 0
        await house.send.send(())
        await house.until(lambda: house.looks == 1)
        assert list(house.backends) == ["a!"]


async def test_one_that_moved_is_asked_at_its_new_address() -> None:
    """The old way is let go at once; its models are known all the while, as answers that broke off go on there."""
    house = House()
    async with house.following():
        await house.send.send((peer("a", 1),))
        await house.until(lambda: len(house.opened) == 1)
        await house.send.send((peer("a", 2),))
        await house.until(lambda: len(house.opened) == 2)
        await anyio.wait_all_tasks_blocked()
        assert (list(house.backends), house.most, house.left) == (["a!"], 1, 0)


async def test_one_that_was_started_anew_is_asked_anew() -> None:
    """What it was shown is good for one run of it; the endpoint may well be the same."""
    house = House()
    one, again = (
        Worker(offer=an_offer("a", service=GATEWAY, labels={"run": run}), endpoint=Endpoint("127.0.0.1", 1))
        for run in ("r1", "r2")
    )
    async with house.following():
        for crew in ((one,), (one,), (again,)):
            await house.send.send(crew)
            await anyio.wait_all_tasks_blocked()
        await house.until(lambda: len(house.opened) == 2)
        assert (list(house.backends), house.most, house.left) == (["a!"], 1, 0)


async def test_one_that_cannot_be_opened_is_tried_again() -> None:
    """And spoils nothing for the others."""
    house = House(failures=1)
    async with house.following():
        await house.send.send((peer("a", 1), peer("b", 2)))
        await house.until(lambda: len(house.backends) == 2)
        assert len(house.opened) == 3


async def test_one_that_is_only_announced_is_a_backend_too() -> None:
    """Nothing is opened; it has the models that it names, and stays under its name when a path is held and let go."""
    house, far = House(), peer("a", 1)
    offer = msgspec.structs.replace(far.offer, labels={"models": "echo"})
    far = msgspec.structs.replace(far, offer=offer)

    def asleep() -> bool:
        return all(ASLEEP in card.labels for card in house.backends["a!"].models())

    async with house.following():
        house.announced = (offer,)
        await house.send.send(())
        await house.until(lambda: "a!" in house.backends)
        backend = house.backends["a!"]
        assert ([card.name for card in backend.models()], house.opened) == (["echo"], [])
        assert asleep()
        house.announced = ()
        await house.send.send((far,))
        await house.until(lambda: not asleep())
        house.announced = (offer,)
        await house.send.send(())
        await house.until(asleep)
        assert house.backends["a!"] is backend
        assert backend.health().ready
        assert (house.opened, house.most) == (["127.0.0.1:1"], 1)


async def test_who_asks_for_one_that_is_announced_gets_an_answer() -> None:
    """Whoever holds paths hears of it, opens one, and the request goes on."""
    house, far = House(), peer("a", 1)
    house.announced = (msgspec.structs.replace(far.offer, labels={"models": "echo"}),)
    async with house.following():
        await house.send.send(())
        await house.until(lambda: "a!" in house.backends)
        async with anyio.create_task_group() as tasks:

            async def open_it() -> None:
                await house.until(lambda: bool(house.asked))
                await house.send.send((far,))

            tasks.start_soon(open_it)
            assert (await write(house.backends["a!"], a_request(model="echo"))).text
        assert house.asked == ["node-a"]


async def test_one_that_is_announced_and_goes_is_kept_for_a_while() -> None:
    """Not ready, as one that was held would be; then it is gone."""
    house = House()
    house.announced = (an_offer("a", service=GATEWAY, labels={"models": "echo"}),)
    async with house.following(linger_seconds=0.2):
        await house.send.send(())
        await house.until(lambda: "a!" in house.backends)
        house.announced = ()
        await house.send.send(())
        await house.until(lambda: not house.backends["a!"].health().ready)
        await house.until(lambda: not house.backends)


def test_the_part_is_told_where_to_ask() -> None:
    """By an option ``url``, and the key's file if there is one."""

    class UrlOptions(Options, frozen=True):
        url: Annotated[str, Meta(min_length=1)]
        api_key_file: str | None = None

    assert peer_options(UrlOptions, "http://h:1", "k") == UrlOptions(url="http://h:1", api_key_file="k")
    assert peer_options(UrlOptions, "http://h:1") == UrlOptions(url="http://h:1")


def test_a_credential_takes_the_key_s_place() -> None:
    """For a part that can be given a key; another is given the key's file, as always."""

    class KeyOptions(Options, frozen=True):
        url: str
        api_key: Annotated[str, SECRET] = ""
        api_key_file: str | None = None

    class FileOptions(Options, frozen=True):
        url: str
        api_key_file: str | None = None

    shown = peer_options(KeyOptions, "http://h:1", "k", credential="sgm_x")
    assert shown == KeyOptions(url="http://h:1", api_key="sgm_x")
    assert "sgm_x" not in repr(shown)
    assert peer_options(FileOptions, "http://h:1", "k", credential="sgm_x") == FileOptions(
        url="http://h:1", api_key_file="k"
    )


def test_a_member_is_looked_at_less_often() -> None:
    """It says in its offer when it has other models; a server on a list says nothing by itself."""

    class LookingOptions(Options, frozen=True):
        url: str
        refresh_seconds: float = 5.0

    assert peer_options(LookingOptions, "http://h:1", credential="sgm_x") == LookingOptions("http://h:1", 30.0)
    assert peer_options(LookingOptions, "http://h:1") == LookingOptions("http://h:1")


def test_a_part_that_cannot_be_told_is_named() -> None:
    """It is no part for peers."""
    for kind in (NoOptions, EchoOptions):
        with pytest.raises(ConfigError, match="the part that peer_backend names cannot ask http://h:1"):
            peer_options(kind, "http://h:1")
