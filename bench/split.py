"""Measures a model split over two workers, beside llama-server and when somebody dies.  See ``--help``."""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import tempfile
import urllib.request
from collections import deque
from collections.abc import Collection, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec
from run import ROOT, bundled_model
from sidebyside import contenders, llama_server, pauses, report, throughput
from sidebyside.contenders import Contender, Settings
from sidebyside.figures import Row
from sidebyside.membership import found_by_mdns, new_swarm

CONCURRENCIES = (1, 4)
PARTS = ("speeds", "deaths", "loads")
#: What has a table of its own.
APART = "ways"


def swarm_of(port: int) -> dict[str, Any]:
    """Return what the gateway on *port* says of its swarm."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/swarm", timeout=10) as answer:
        return json.loads(answer.read())


def held(port: int) -> dict[str, int]:
    """Return how many layers each place holds, the output counting as one more; nothing while it is not ready."""
    (model,) = swarm_of(port)["models"]
    if not model["ready"]:
        return {}
    units: dict[str, int] = {}
    for place in model["places"]:
        layers = 0 if place["first_layer"] is None else place["last_layer"] - place["first_layer"] + 1
        if count := layers + place["output"]:
            units[place["place"]] = count
    return units


def same_split(units: dict[str, int], workers: list[str]) -> list[str]:
    """Return llama-server's arguments for the split that the gateway made, over *workers* in the same order."""
    counts = [count for place, count in units.items() if place != "here"]
    devices = ",".join(f"RPC{number}" for number in range(len(workers)))
    shares = ",".join(map(str, counts))
    return ["--rpc", ",".join(workers), "--device", devices, "-ngl", str(sum(counts)), "--tensor-split", shares]


async def turn_about(named: Mapping[str, Contender], rounds: int, tokens: int) -> dict[tuple[str, int], list[float]]:
    """Return tokens per second of each of the *named*, with each number of chats at once, one for each round."""
    sides = deque(named.items())
    seen: dict[tuple[str, int], list[float]] = {}
    for side, contender in sides:
        await throughput.measure(contender, 1, 8, f"warm/{side}")
    for number in range(rounds):
        for side, contender in sides:
            for many in CONCURRENCIES:
                speed = await throughput.measure(contender, many, tokens, f"{number}/{many}")
                seen.setdefault((side, many), []).append(speed)
                print(f"round {number + 1}, {side}: {speed:.1f} tokens/s with {many} at once", flush=True)
        sides.rotate(-1)
    return seen


async def speeds(settings: Settings, binary: Path, folder: Path, rounds: int, tokens: int) -> list[Row]:
    """Measure tokens per second turn about: not split, split, and llama-server split alike over workers of its own."""
    async with AsyncExitStack() as stack:
        ours = [(await stack.enter_async_context(contenders.worker(folder, f"ours{n}")))[0] for n in range(2)]
        theirs = [(await stack.enter_async_context(contenders.worker(folder, f"theirs{n}")))[0] for n in range(2)]
        places = [folder / name for name in ("whole", "split", "server")]
        for place in places:
            place.mkdir()
        whole = await stack.enter_async_context(contenders.gateway(settings, places[0]))
        split = await stack.enter_async_context(contenders.gateway(settings, places[1], workers=ours))
        await pauses.until_ready(lambda: len(held(split.port)) == len(ours) + 1)
        arguments = same_split(held(split.port), theirs)
        server = await stack.enter_async_context(contenders.llama_server(settings, binary, places[2], *arguments))
        seen = await turn_about({"whole": whole, "split": split, "server": server}, rounds, tokens)
    rows: list[Row] = []
    for many in CONCURRENCIES:
        what = f"{many} chat{'s' if many > 1 else ''} at once"
        mine = tuple(seen["split", many])
        rows += [
            Row("split beside llama-server --rpc", what, "tokens/s", mine, tuple(seen["server", many]), "higher", 0.95),
            Row("split beside not split", what, "tokens/s", mine, tuple(seen["whole", many]), "higher"),
        ]
    return rows


async def ways(settings: Settings, folder: Path, rounds: int, tokens: int) -> list[Row]:
    """Measure tokens per second turn about: split over workers reached directly, and by the tunnels of a swarm."""
    async with AsyncExitStack() as stack:
        token = await asyncio.to_thread(new_swarm, folder / "owner")
        swarm = f'token_file = "{token}"\n{found_by_mdns()}'
        near = [(await stack.enter_async_context(contenders.worker(folder, f"near{n}")))[0] for n in range(2)]
        for number in range(2):
            await stack.enter_async_context(contenders.worker(folder, f"far{number}", swarm=swarm))
        places = [folder / name for name in ("direct", "tunnels")]
        for place in places:
            place.mkdir()
        direct = await stack.enter_async_context(contenders.gateway(settings, places[0], workers=near))
        tunnels = await stack.enter_async_context(contenders.gateway(settings, places[1], swarm=swarm))
        for each in (direct, tunnels):
            await whole_again(each)
        seen = await turn_about({"direct": direct, "tls": tunnels}, rounds, tokens)
    return [
        Row(
            "split by TLS beside split directly",
            f"{many} chat{'s' if many > 1 else ''} at once",
            "tokens/s",
            tuple(seen["tls", many]),
            tuple(seen["direct", many]),
            "higher",
            0.95,
        )
        for many in CONCURRENCIES
    ]


async def deaths(settings: Settings, folder: Path, rounds: int) -> list[Row]:
    """Measure how long a stream stands still when its engine, or a worker, is killed."""
    rows: list[Row] = []
    async with AsyncExitStack() as stack:
        place = folder / "alone"
        place.mkdir()
        alone = await stack.enter_async_context(contenders.gateway(settings, place))
        paused = [await pauses.measure(alone, lambda: child(alone), f"alone/{n}") for n in range(rounds)]
        rows.append(Row("pause of a stream", "the engine is killed, nothing is split", "s", tuple(paused)))
    async with AsyncExitStack() as stack:
        place = folder / "mortal"
        place.mkdir()
        stacks = [AsyncExitStack() for _ in range(2)]
        for each in stacks:
            stack.push_async_callback(each.aclose)
        started = [await each.enter_async_context(contenders.worker(place, f"w{n}")) for n, each in enumerate(stacks)]
        addresses = [address for address, _ in started]
        pids = [pid for _, pid in started]
        split = await stack.enter_async_context(contenders.gateway(settings, place, workers=addresses))
        await whole_again(split)
        engines, workers = list[float](), list[float]()
        for number in range(rounds):
            engines.append(await pauses.measure(split, lambda: child(split), f"engine/{number}"))
            print(f"round {number + 1}: the engine of a split killed, {engines[-1]:.2f} s", flush=True)
            await whole_again(split)
            victim = number % 2
            workers.append(await pauses.measure(split, partial(pids.__getitem__, victim), f"worker/{number}"))
            print(f"round {number + 1}: a worker killed, {workers[-1]:.2f} s", flush=True)
            await stacks[victim].aclose()
            _, pids[victim] = await stacks[victim].enter_async_context(
                contenders.worker(place, f"w{victim}", addresses[victim])
            )
            await whole_again(split)
        rows.append(Row("pause of a stream", "the engine of a split is killed", "s", tuple(engines)))
        rows.append(
            Row("pause of a stream", "a worker is killed; those who are left take over its layers", "s", tuple(workers))
        )
    return rows


async def whole_again(split: Contender) -> None:
    """Wait until both workers hold layers."""
    await pauses.until_ready(lambda: len(held(split.port)) == 3)  # noqa: PLR2004 - here, and two workers


def child(contender: Contender) -> int:
    """Return the process of the contender's engine."""
    return contenders.family(contender.pid)[1]


async def reloads(settings: Settings, folder: Path, rounds: int) -> list[Row]:
    """Measure how long loading over two workers takes, with what they keep of an earlier time and without."""
    cold, warm = list[float](), list[float]()
    for number in range(rounds):
        place = folder / f"reload{number}"
        place.mkdir()
        workers = ["127.0.0.1:0"] * 2
        for times in (cold, warm):
            async with AsyncExitStack() as stack:
                # the second time where they were: each keeps what it had, and is given the same layers
                lent = [
                    stack.enter_async_context(contenders.worker(place, f"w{n}", listen))
                    for n, listen in enumerate(workers)
                ]
                workers = [(await each)[0] for each in lent]
                split = await stack.enter_async_context(contenders.gateway(settings, place, workers=workers))
                await whole_again(split)
            times.append(loaded_in(place / "gateway.log"))
        print(f"round {number + 1}: loaded in {cold[-1]:.2f} s cold, {warm[-1]:.2f} s warm", flush=True)
        shutil.rmtree(place)
    return [Row("loading over two workers", "tensor caches warm; theirs: cold", "s", tuple(warm), tuple(cold))]


def loaded_in(log: Path) -> float:
    """Return how long the last load took, by the gateway's own log, in seconds."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return float([line["seconds"] for line in lines if line["event"] == "loading.done"][-1])


async def measure(settings: Settings, binary: Path, rounds: int, tokens: int, parts: Collection[str]) -> report.Run:
    """Run the *parts* that are wanted and return the report."""
    when, began = datetime.now(UTC), perf_counter()
    with tempfile.TemporaryDirectory(prefix="swarmgate-split-") as name:
        folder = Path(name)
        rows: list[Row] = []
        if "speeds" in parts:
            rows += await speeds(settings, binary, folder, rounds, tokens)
        if "ways" in parts:
            place = folder / "ways"
            place.mkdir()
            rows += await ways(settings, place, rounds, tokens)
        if "deaths" in parts:
            rows += await deaths(settings, folder, rounds)
        if "loads" in parts:
            rows += await reloads(settings, folder, min(rounds, 3))
    return report.Run(
        when=when.strftime("%Y-%m-%d %H:%M UTC"),
        machine=report.machine(),
        settings=settings,
        rounds=rounds,
        seconds=perf_counter() - began,
        rows=rows,
    )


def main() -> None:
    """Read the command line, run, print the table and write it down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small round: to see that it works, not to quote")
    parser.add_argument("--model", help="a GGUF file; default: the small one of swarmgate[demo]")
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is measured (default 5)")
    parser.add_argument("--llama-server", type=Path, help="one to use; default: built from the engine's sources")
    parser.add_argument("--only", choices=(*PARTS, APART), help="measure this alone")
    parser.add_argument("--document", action="store_true", help="write the table into docs/benchmarks.md, too")
    given = parser.parse_args()
    settings = Settings(model=given.model or bundled_model(), slots=4, context_size=8192, request_context=2048)
    binary = given.llama_server or llama_server.llama_server(ROOT / "pyproject.toml")
    rounds, tokens = (1, 16) if given.quick else (given.rounds, 64)
    parts = (given.only,) if given.only else PARTS
    run = asyncio.run(measure(settings, binary.resolve(), rounds, tokens, parts))
    print(report.table(run.rows))
    shared = msgspec.structs.replace(run, settings=msgspec.structs.replace(settings, model=Path(settings.model).name))
    report.keep(shared, ROOT / "build" / f"{given.only or 'split'}.json")
    if given.document:
        page = ROOT / "docs" / "benchmarks.md"
        page.write_text(report.document(shared, page.read_text(), APART if given.only == APART else "split"))


if __name__ == "__main__":
    main()
