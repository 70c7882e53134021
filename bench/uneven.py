"""Measures what balancers make of machines of speeds 1:2:8: ours beside those of other routers.  See ``--help``.

Each contender has three nodes of its own, which take their time as such machines would, and is asked the same.  The
other routers live in environments of their own below the folder that ``--rivals`` names, as for ``routers.py``.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import urllib.request
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import msgspec
from routers import ours, rust
from run import ROOT
from sidebyside import report, timed_node
from sidebyside.client import chat_body, talk
from sidebyside.contenders import Contender, free_port, running
from sidebyside.figures import percentile
from sidebyside.turns import ANSWER, SPEEDS, Arrival, Line, Machine, Turn, line, schedule, systems, table

#: How much of what the machines can do together is asked of them.
LOAD = 0.6
#: Seconds after which the client gives a request up.
_PATIENCE = 60.0
_WARM_SECONDS = 3.0
BALANCERS = ("round_robin", "least_loaded", "p2c", "prefix", "cost")
POLICIES = ("cache_aware", "power_of_two", "round_robin")
RIVALS: dict[str, tuple[str, ...]] = {"smg": ("launch",), "vllm-router": ()}
MACHINE = Machine(timed_node.READS, timed_node.WRITES, timed_node.SLOTS, timed_node.SLOPE)


class Side(msgspec.Struct, frozen=True):
    """A contender and its nodes, in the order of `SPEEDS`."""

    contender: Contender
    nodes: list[Contender]


class Counts(msgspec.Struct, frozen=True):
    """What a node has counted since its start."""

    asked: int
    prompt_tokens: int
    held_tokens: int


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one run."""

    when: str
    machine: dict[str, str]
    seed: int
    rate: float
    seconds: float
    minutes: float
    lines: list[Line]
    turns: dict[str, list[Turn]]

    def told(self) -> str:
        """Return it in Markdown."""
        facts = ", ".join(f"{key} {self.machine[key]}" for key in ("processor", "cores", "system", "python"))
        count = len(next(iter(self.turns.values())))
        late = max(turn.late_p99 for turns in self.turns.values() for turn in turns)
        about = (
            f"{self.when}, {count} turns of {self.seconds:g} s each, {self.rate:.1f} requests a second, "
            f"seed {self.seed}, {self.minutes:.0f} minutes. Machine: {facts}. "
            f"The client sent 99 in 100 of each turn within {1000 * late:.0f} ms of their time."
        )
        return f"{about}\n\n{table(self.lines)}"


async def start(stack: AsyncExitStack, name: str, rivals: Path, folder: Path) -> Side:
    """Start the contender *name*, "program policy", and its nodes."""
    program, policy = name.split()
    home = folder / name.replace(" ", "-")
    home.mkdir()
    nodes: list[Contender] = []
    for speed in SPEEDS:
        port = free_port()
        command = [sys.executable, timed_node.__file__, str(port), str(speed)]
        nodes.append(await stack.enter_async_context(running(f"node-{speed}", command, port, "/health", home)))
    urls = [f"http://127.0.0.1:{node.port}" for node in nodes]
    port = free_port()
    if program in RIVALS:
        command = rust(program, *RIVALS[program], policy=policy)(urls, port, home, rivals / program)
        ready = "/health"
    else:
        command, ready = [*ours(urls, port, home), "--balancer", policy], "/readyz"
    return Side(await stack.enter_async_context(running(name, command, port, ready, home)), nodes)


def names(rivals: Path) -> list[str]:
    """Return the contenders that are there."""
    found = [f"swarmgate {balancer}" for balancer in BALANCERS]
    for program in RIVALS:
        if (rivals / program).exists():
            found += [f"{program} {policy}" for policy in POLICIES]
        else:
            print(f"{program} is not in {rivals}: left out", flush=True)
    return found


def _counts(node: Contender) -> Counts:
    with urllib.request.urlopen(f"http://127.0.0.1:{node.port}/counts", timeout=5) as answer:
        return msgspec.json.decode(answer.read(), type=Counts)


async def counted(side: Side) -> list[Counts]:
    """Return what the nodes of *side* have counted."""
    return [await asyncio.to_thread(_counts, node) for node in side.nodes]


async def ask(port: int, arrival: Arrival, began: float) -> tuple[float, float, float]:
    """Ask when it is time; return how late that was, and when the first token and the end came after it was due.

    Raises:
        RuntimeError: the answer failed.
        OSError: nobody answered.
        TimeoutError: it took longer than anybody waits.

    """
    due = began + arrival.at
    body = chat_body(arrival.question, system=arrival.system, max_tokens=ANSWER, model="mock")
    await asyncio.sleep(due - perf_counter())
    late = perf_counter() - due
    async with asyncio.timeout(_PATIENCE):
        spoken = await talk(port, body)
        try:
            await spoken.end()
        finally:
            spoken.hang_up()
    if not spoken.moments:
        raise RuntimeError("the answer was empty")
    return late, spoken.moments[0] - due, spoken.ended - due


async def measure(side: Side, arrivals: Sequence[Arrival]) -> Turn:
    """Ask for all *arrivals* and wait for all their ends."""
    before = await counted(side)
    began = perf_counter() + 0.2
    asked = (ask(side.contender.port, arrival, began) for arrival in arrivals)
    came = await asyncio.gather(*asked, return_exceptions=True)
    after = await counted(side)
    good: list[tuple[float, float, float]] = []
    failures: list[str] = []
    for one in came:
        if isinstance(one, RuntimeError | OSError):  # TimeoutError is one of them
            failures.append(f"{type(one).__name__}: {one}"[:200])
        elif isinstance(one, BaseException):
            raise one
        else:
            good.append(one)
    return Turn(
        firsts=[first for _, first, _ in good],
        wholes=[whole for _, _, whole in good],
        failures=failures,
        late_p99=percentile([late for late, _, _ in good], 99) if good else 0.0,
        asked=[then.asked - now.asked for now, then in zip(before, after, strict=True)],
        prompt_tokens=sum(then.prompt_tokens - now.prompt_tokens for now, then in zip(before, after, strict=True)),
        held_tokens=sum(then.held_tokens - now.held_tokens for now, then in zip(before, after, strict=True)),
    )


async def compare(contenders: Sequence[str], given: argparse.Namespace, folder: Path) -> dict[str, list[Turn]]:
    """Measure all *contenders* turn about; all stay up."""
    rate = LOAD * MACHINE.capacity()
    heads = systems(given.seed, timed_node.CHARACTERS)
    seen: dict[str, list[Turn]] = {name: [] for name in contenders}
    async with AsyncExitStack() as stack:
        sides = deque([await start(stack, name, given.rivals, folder) for name in contenders])
        warm = schedule(given.seed, 0, heads, rate, _WARM_SECONDS)
        for side in sides:
            await measure(side, warm)  # connections made, code compiled, speeds seen
        for number in range(1, given.turns + 1):
            arrivals = schedule(given.seed, number, heads, rate, given.seconds)
            for side in sides:
                name = side.contender.name
                turn = await measure(side, arrivals)
                seen[name].append(turn)
                told = table([line(name, [turn])]).splitlines()[-1]
                why = dict(Counter(turn.failures).most_common(3)) or ""
                print(f"turn {number}: {told} late {1000 * turn.late_p99:.0f} ms {turn.asked} {why}", flush=True)
                await asyncio.sleep(0.5)
            sides.rotate(-1)
    return seen


async def run(given: argparse.Namespace) -> Run:
    """Run everything."""
    when, began = datetime.now(UTC), perf_counter()
    with tempfile.TemporaryDirectory(prefix="swarmgate-uneven-") as name:
        turns = await compare(names(given.rivals), given, given.logs or Path(name))
    return Run(
        when=when.strftime("%Y-%m-%d %H:%M UTC"),
        machine=report.machine(),
        seed=given.seed,
        rate=LOAD * MACHINE.capacity(),
        seconds=given.seconds,
        minutes=(perf_counter() - began) / 60,
        lines=[line(name, ones) for name, ones in turns.items()],
        turns=turns,
    )


def _folder(name: str) -> Path:
    return Path(name).resolve()  # the contenders are started elsewhere


def main() -> None:
    """Read the command line, run, print the table and write it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rivals", type=_folder, default=ROOT / "build" / "rivals", help="folder of their environments"
    )
    parser.add_argument("--turns", type=int, default=3, help="how many turns each has (default 3)")
    parser.add_argument("--seconds", type=float, default=9.0, help="how long requests come in a turn (default 9)")
    parser.add_argument("--seed", type=int, default=101, help="what the requests are drawn from (default 101)")
    parser.add_argument("--logs", type=_folder, help="an empty folder for what all of them write, which is kept")
    parser.add_argument("--document", action="store_true", help="write the table into docs/benchmarks.md, too")
    given = parser.parse_args()
    found = asyncio.run(run(given))
    print(found.told())
    report.keep(found, ROOT / "build" / "uneven.json")
    if given.document:
        page = ROOT / "docs" / "benchmarks.md"
        page.write_text(report.between(page.read_text(), "uneven", found.told()))


if __name__ == "__main__":
    main()
