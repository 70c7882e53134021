"""Measures what routers add to nodes that cost nothing: ours beside others from PyPI.  See ``--help``.

The others live in environments of their own, made with ``uv venv`` and ``uv pip install NAME`` below the folder that
``--rivals`` names: ``smg``, ``vllm-router``, ``sglang-router``, ``litellm``.  Those that are not there are left out.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import msgspec
from run import ROOT
from sidebyside import report
from sidebyside.client import chat_body
from sidebyside.contenders import Contender, Settings, family, free_port, running
from sidebyside.figures import Row, both
from sidebyside.footprint import memory
from sidebyside.overhead import finished, first_byte_ms

_PIECES = 32
_NODES = 2


class Figures(msgspec.Struct, frozen=True):
    """One side in one round: milliseconds to the first byte one at a time, streams and documents a second at 32."""

    first_byte_ms: float
    streams: float
    documents: float


def ours(nodes: Sequence[str], port: int, folder: Path) -> list[str]:
    """Return our own command."""
    (folder / "gateway.toml").write_text(f'[gateway]\nlisten = "127.0.0.1:{port}"\nstate_dir = "{folder}"\n')
    flags = [flag for node in nodes for flag in ("--node", node)]
    return [str(Path(sys.executable).with_name("gateway")), "federated", *flags]


def rust(
    program: str, *words: str, policy: str = "cache_aware"
) -> Callable[[Sequence[str], int, Path, Path], list[str]]:
    """Return how one of the Rust routers, which share a command line, is started."""

    def command(nodes: Sequence[str], port: int, folder: Path, home: Path) -> list[str]:
        extra = ["--prometheus-port", str(free_port())]
        return [
            str(home / "bin" / program), *words, "--worker-urls", *nodes, "--host", "127.0.0.1",
            "--port", str(port), "--policy", policy, *extra,
        ]  # fmt: skip

    return command


def litellm(nodes: Sequence[str], port: int, folder: Path, home: Path) -> list[str]:
    """Return litellm's command, and write its configuration."""
    lines = ["model_list:"]
    for node in nodes:
        lines += ["- model_name: mock", "  litellm_params:", "    model: openai/mock", f"    api_base: {node}/v1"]
        lines += ["    api_key: none"]
    # only this machine reaches it, and the others ask for no key either
    lines += ["general_settings:", "  dangerously_permit_weak_or_unset_master_key: true"]
    (folder / "litellm.yaml").write_text("\n".join(lines) + "\n")
    return [
        str(home / "bin" / "litellm"), "--config", str(folder / "litellm.yaml"), "--host", "127.0.0.1",
        "--port", str(port), "--num_workers", "1",
    ]  # fmt: skip


RIVALS: dict[str, tuple[Callable[[Sequence[str], int, Path, Path], list[str]], str]] = {
    "smg": (rust("smg", "launch"), "/health"),
    "vllm-router": (rust("vllm-router"), "/health"),
    "sglang-router": (rust("sglang-router", "launch"), "/health"),
    "litellm": (litellm, "/health/liveliness"),
}


@asynccontextmanager
async def nodes(folder: Path) -> AsyncGenerator[list[Contender]]:
    """Run the mock nodes."""
    async with AsyncExitStack() as stack:
        made: list[Contender] = []
        for number in range(_NODES):
            port = free_port()
            program = str(Path(__file__).parent / "sidebyside" / "mock_node.py")
            command = [sys.executable, program, str(port), str(_PIECES)]
            made.append(await stack.enter_async_context(running(f"node-{number}", command, port, "/health", folder)))
        yield made


async def measure(contender: Contender, seconds: float) -> Figures:
    """Measure one side once."""
    streamed = chat_body("word " * 8, max_tokens=_PIECES, model="mock")
    whole = msgspec.json.encode({**msgspec.json.decode(streamed), "stream": False, "stream_options": None})
    return Figures(
        await first_byte_ms(contender.port, streamed, times=80),
        await finished(contender.port, streamed, seconds, together=32),
        await finished(contender.port, whole, seconds, together=32),
    )


async def compare(rivals: Path, rounds: int, seconds: float, folder: Path) -> list[Row]:
    """Measure all sides turn about."""
    async with AsyncExitStack() as stack:
        mocks = await stack.enter_async_context(nodes(folder))
        urls = [f"http://127.0.0.1:{node.port}" for node in mocks]
        sides: list[Contender] = []
        port = free_port()
        sides.append(
            await stack.enter_async_context(running("ours", ours(urls, port, folder), port, "/readyz", folder))
        )
        for name, (command, path) in RIVALS.items():
            home = rivals / name
            if not home.exists():
                print(f"{name} is not in {rivals}: left out", flush=True)
                continue
            port = free_port()
            words = command(urls, port, folder, home)
            sides.append(await stack.enter_async_context(running(name, words, port, path, folder)))
        direct = mocks[0]
        seen: dict[str, list[Figures]] = {}
        for side in sides:
            await measure(side, 0.5)  # warm: connections made, code compiled
        order = deque([*sides, direct])
        for number in range(rounds):
            for side in order:
                figures = await measure(side, seconds)
                seen.setdefault(side.name, []).append(figures)
                print(f"round {number + 1}, {side.name}: {figures}", flush=True)
            order.rotate(-1)
        resident = {side.name: sum(memory(pid).resident for pid in family(side.pid)) for side in sides}
    return rows(seen, resident, direct.name)


def rows(seen: dict[str, list[Figures]], resident: dict[str, float], direct: str) -> list[Row]:
    """Return a row for each figure and rival; what they add is counted from the nodes asked directly."""
    mine = seen["ours"]
    bare = [one.first_byte_ms for one in seen[direct]]
    added = tuple(one.first_byte_ms - least for one, least in zip(mine, bare, strict=True))
    made = [Row("ours alone", "added to the first byte, one at a time", "ms", added, aim=1.0)]
    made.append(Row("ours alone", "streams at 32", "streams/s", tuple(one.streams for one in mine), (), "higher"))
    for name in (name for name in seen if name not in {"ours", direct}):
        theirs = seen[name]
        room = f"beside {name}"
        made.append(Row(room, "first byte, one at a time", "ms", *both("first_byte_ms", mine, theirs)))
        for field, what, unit in (
            ("streams", "streams at 32", "streams/s"),
            ("documents", "answers at 32", "answers/s"),
        ):
            aim = round(700 / 1020, 2) if (name, field) == ("smg", "streams") else None
            made.append(Row(room, what, unit, *both(field, mine, theirs), better="higher", aim=aim))
        made.append(Row(room, "resident memory", "MB", (resident["ours"],), (resident[name],)))
    return made


async def run(rivals: Path, rounds: int, seconds: float) -> report.Run:
    """Run everything and return the report."""
    when, began = datetime.now(UTC), perf_counter()
    with tempfile.TemporaryDirectory(prefix="swarmgate-routers-") as name:
        found = await compare(rivals, rounds, seconds, Path(name))
    return report.Run(
        when=when.strftime("%Y-%m-%d %H:%M UTC"),
        machine=report.machine(),
        settings=Settings(model="mock"),
        rounds=rounds,
        seconds=perf_counter() - began,
        rows=found,
    )


def main() -> None:
    """Read the command line, run, print the table and write it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rivals", type=Path, default=ROOT / "build" / "rivals", help="folder of their environments")
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is measured (default 5)")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each rate is measured (default 3)")
    parser.add_argument("--document", action="store_true", help="write the table into docs/benchmarks.md, too")
    given = parser.parse_args()
    found = asyncio.run(run(given.rivals, given.rounds, given.seconds))
    print(report.table(found.rows))
    report.keep(found, ROOT / "build" / "routers.json")
    if given.document:
        page = ROOT / "docs" / "benchmarks.md"
        page.write_text(report.document(found, page.read_text(), "routers"))


if __name__ == "__main__":
    main()
