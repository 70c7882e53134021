"""Puts a gateway in front of two under mixed load for a while, and looks whether it stays as small as it was.

Exits with 1 if its memory grows after the first fifth of the time, if it keeps descriptors open, or if an answer is
not as it should be.  ``python bench/soak.py --help``.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from time import perf_counter
from typing import Any

import aiohttp
import msgspec
from routers import ours
from sidebyside.contenders import Contender, free_port, running
from sidebyside.endurance import Sample, Verdict, judge
from sidebyside.footprint import memory

_SAMPLE_SECONDS = 2.0
_KILL_SECONDS = 12.0
#: Idle connections to nodes are closed after a while; so long is waited for that.
_CALM_SECONDS = 60.0
#: The baseline is the least of so long: nodes are looked at every 5 s, over connections kept for 4 s.
_BASE_SECONDS = 8.0
_ROWS = 12
_GOOD, _BAD_REQUEST, _NOT_FOUND = 200, 400, 404


class Node:
    """A gateway with the echo backend that can be killed and started again at its port."""

    def __init__(self, name: str, folder: Path) -> None:
        self._name, self._folder, self._port = name, folder / name, free_port()
        self._stack = AsyncExitStack()
        self._pid = 0
        self.url = f"http://127.0.0.1:{self._port}"
        self._folder.mkdir()
        (self._folder / "gateway.toml").write_text(
            f'[gateway]\nlisten = "127.0.0.1:{self._port}"\nname = "{name}"\nstate_dir = "{self._folder}"\n'
            '[[backend]]\nuse = "echo"\nmodel = "m"\ndelay_seconds = 0.005\nslots = 16\n'
        )

    async def start(self) -> None:
        """Start it, and wait until it is ready."""
        command = [str(Path(sys.executable).with_name("gateway")), "run"]
        process = running(self._name, command, self._port, "/readyz", self._folder)
        self._pid = (await self._stack.enter_async_context(process)).pid

    async def end(self, *, kill: bool = False) -> None:
        """End it, by force if so wanted."""
        if kill:
            os.kill(self._pid, signal.SIGKILL)
        await self._stack.aclose()


class Load:
    """Clients who ask for one thing after the other; counts what they asked for, and what went wrong."""

    def __init__(self, url: str, seed: int) -> None:
        self._url = url
        self._chance = random.Random(seed)  # noqa: S311 -- the same mixture each time
        self.asked = Counter[str]()
        self.wrong = Counter[str]()
        self._kinds: dict[str, tuple[int, Callable[[aiohttp.ClientSession, str], Awaitable[bool]]]] = {
            "stream": (6, self._stream),
            "whole": (4, self._whole),
            "embeddings": (3, self._embed),
            "hang-up": (3, self._hang_up),
            "bad request": (2, self._bad),
        }

    async def client(self, until: float) -> None:
        """Ask until that time, now and then on new connections."""
        names, weights = list(self._kinds), [weight for weight, _ in self._kinds.values()]
        while perf_counter() < until:
            async with aiohttp.ClientSession(self._url, timeout=aiohttp.ClientTimeout(total=60)) as session:
                for _ in range(20):
                    (name,) = self._chance.choices(names, weights)
                    words = " ".join(f"word{self._chance.randrange(10_000)}" for _ in range(20))
                    self.asked[name] += 1
                    try:
                        good = await self._kinds[name][1](session, words)
                    except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError):
                        good = False
                    self.wrong[name] += not good

    async def _stream(self, session: aiohttp.ClientSession, words: str) -> bool:
        text, last = "", ""
        async with session.post("/v1/chat/completions", json=_chat(words, stream=True)) as response:
            async for line in response.content:
                last = line.decode().removeprefix("data: ").strip() or last
                if line.startswith(b"data: {"):
                    for choice in msgspec.json.decode(line[6:]).get("choices", ()):
                        text += choice["delta"].get("content") or ""
        return (text, last) == (words, "[DONE]")

    async def _whole(self, session: aiohttp.ClientSession, words: str) -> bool:
        async with session.post("/v1/chat/completions", json=_chat(words)) as response:
            document = await response.json()
        return response.status == _GOOD and document["choices"][0]["message"]["content"] == words

    async def _embed(self, session: aiohttp.ClientSession, words: str) -> bool:
        body = {"model": "m", "input": words.split()}
        async with session.post("/v1/embeddings", json=body) as response:
            document = await response.json()
        return response.status == _GOOD and len(document["data"]) == len(body["input"])

    async def _hang_up(self, session: aiohttp.ClientSession, words: str) -> bool:
        async with session.post("/v1/chat/completions", json=_chat(words, stream=True)) as response:
            for _ in range(self._chance.randrange(1, 10)):
                await response.content.readline()
            response.close()
        return response.status == _GOOD

    async def _bad(self, session: aiohttp.ClientSession, words: str) -> bool:
        body = self._chance.choice([b"{", b'{"model": "m"}', msgspec.json.encode(_chat(words) | {"model": words[:9]})])
        headers = {"Content-Type": "application/json"}
        async with session.post("/v1/chat/completions", data=body, headers=headers) as response:
            document = await response.json()
        return response.status in {_BAD_REQUEST, _NOT_FOUND} and "message" in document["error"]


def _chat(words: str, **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": words}], **more}


def look(pid: int, began: float) -> Sample:
    """Return what the process has now."""
    descriptors = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 -- names are enough
    return Sample(perf_counter() - began, memory(pid).resident, descriptors)


async def sampling(pid: int, began: float, samples: list[Sample]) -> None:
    """Look again and again, until cancelled."""
    while True:
        samples.append(look(pid, began))
        await asyncio.sleep(_SAMPLE_SECONDS)


async def killing(nodes: list[Node], kills: list[str]) -> None:
    """Kill one node after the other and start it again, until cancelled; the others are ready all the while."""
    while True:
        for node in nodes:
            await asyncio.sleep(_KILL_SECONDS)
            await node.end(kill=True)
            kills.append(node.url)
            await node.start()


async def baseline(pid: int) -> int:
    """Return how few descriptors are open without load."""
    until, least = perf_counter() + _BASE_SECONDS, look(pid, 0).descriptors
    while perf_counter() < until:
        await asyncio.sleep(0.2)
        least = min(least, look(pid, 0).descriptors)
    return least


async def calm(pid: int, before: int) -> int:
    """Wait until no more than *before* descriptors are open, for a while at most; return how many are."""
    until = perf_counter() + _CALM_SECONDS
    count = look(pid, 0).descriptors
    while count > before and perf_counter() < until:
        await asyncio.sleep(0.2)
        count = look(pid, 0).descriptors
    return count


@asynccontextmanager
async def beside(*works: Awaitable[None]) -> AsyncGenerator[None]:
    """Do *works* for as long as the block lasts; if one fails, that is raised at its end."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


async def soak(seconds: float, together: int, seed: int, folder: Path) -> tuple[Verdict, list[Sample], Load, int]:
    """Run everything; return the verdict, the samples, the load and how often a node was killed."""
    nodes = [Node(f"node-{number}", folder) for number in range(2)]
    try:
        for node in nodes:
            await node.start()
        port = free_port()
        command = ours([node.url for node in nodes], port, folder)
        async with running("hub", command, port, "/readyz", folder) as hub:
            return await _under_load(hub, nodes, seconds, together, seed)
    finally:
        for node in nodes:
            await node.end()


async def _under_load(
    hub: Contender, nodes: list[Node], seconds: float, together: int, seed: int
) -> tuple[Verdict, list[Sample], Load, int]:
    load, samples, kills = Load(f"http://127.0.0.1:{hub.port}", seed), list[Sample](), list[str]()
    await load.client(perf_counter() + 0.1)  # what is opened once and kept is open
    before = await baseline(hub.pid)
    began = perf_counter()
    async with beside(sampling(hub.pid, began, samples), killing(nodes, kills)):
        await asyncio.gather(*(load.client(began + seconds) for _ in range(together)))
    after = await calm(hub.pid, before)
    verdict = judge(samples, before=before, after=after, wrong=load.wrong.total())
    return verdict, samples, load, len(kills)


def table(samples: list[Sample]) -> str:
    """Return some of *samples*, from first to last, as a table."""
    step = max(-(-len(samples) // _ROWS), 1)
    lines = ["| s | resident, MB | descriptors |", "|---|---|---|"]
    return "\n".join(lines + [f"| {s.seconds:.0f} | {s.resident:.1f} | {s.descriptors} |" for s in samples[::step]])


def main() -> None:
    """Run, and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long the load lasts")
    parser.add_argument("--concurrency", type=int, default=16, help="how many ask at once")
    parser.add_argument("--seed", type=int, default=1, help="of the mixture")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="swarmgate-soak-") as name:
        verdict, samples, load, kills = asyncio.run(
            soak(given.seconds, given.concurrency, given.seed, Path(name).resolve())
        )
    print(table(samples))
    asked = ", ".join(f"{name} {count}" for name, count in sorted(load.asked.items()))
    print(f"\nasked {load.asked.total()} times ({asked}); {kills} nodes killed; wrong: {dict(+load.wrong) or 'none'}")
    print(f"memory after the first fifth: {verdict.grown:+.1f} MB by a straight line, allowed {verdict.allowed:.1f} MB")
    print(f"descriptors: {verdict.descriptors_before} before, {verdict.descriptors_after} after")
    for fault in verdict.faults:
        print(f"FAULT: {fault}", file=sys.stderr)
    sys.exit(bool(verdict.faults))


if __name__ == "__main__":
    main()
