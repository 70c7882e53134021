"""Measures a swarm on loopback: joining, dying, and idling.  See ``--help``."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec
from sidebyside import report
from sidebyside.contenders import family, processor_seconds
from sidebyside.figures import percentile
from sidebyside.footprint import memory
from sidebyside.stage import WAYS, Stage, ask, p2p_by_dht, stage

ROOT = Path(__file__).parent.parent
#: Set in the process that is alone in its network.
_ALONE = "SWARMGATE_BENCH_ALONE"
#: So many are started at the same time; the next ones when these can be reached.
_AT_ONCE = 4
#: How often it is looked while many start and find one another, who need the processor themselves, and for how long, in
#: seconds.
_LOOK_SECONDS, _FORMING_SECONDS = 0.5, 900.0


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured of one way to find and reach others; times in seconds, one for each run."""

    way: str
    started: list[float]
    offered: list[float]
    missed: list[float]


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """Processor seconds of all gateways, and of all their children."""

    gateways: float
    children: float

    def of_each(self, members: int, *, per: float = 1.0) -> str:
        """Return the sum for one of *members*, and both parts of it, divided by *per*."""
        gateway, child = self.gateways / members / per, self.children / members / per
        return f"{gateway + child:.2f} ({gateway:.2f} + {child:.2f})"


class Idle(msgspec.Struct, frozen=True, kw_only=True):
    """What *members* cost that do nothing, for so many *seconds*: bytes a second and MB are of one of them.

    *formed* is how many seconds it took from the last one's offer until each knew all, *starting* what was spent until
    then.
    """

    members: int
    formed: float
    seconds: float
    starting: Spent
    idling: Spent
    bytes_per_second: float
    megabytes: float


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one run."""

    when: str
    machine: dict[str, str]
    figures: list[Figures]
    idle: list[Idle]

    def told(self) -> str:
        """Return it as Markdown."""
        facts = ", ".join(f"{key} {value}" for key, value in self.machine.items())
        lines = [
            f"{self.when}. Machine: {facts}.",
            "",
            "| found by, reached by | start to usable, s: median (p95) | offer to usable | killed to missed | runs |",
            "|---|---:|---:|---:|---:|",
        ]
        for each in self.figures:
            cells = " | ".join(f"{_middle(values):.2f} ({percentile(values, 95):.2f})" for values in _columns(each))
            lines.append(f"| {each.way} | {cells} | {len(each.started)} |")
        if self.idle:
            lines += [
                "",
                "| members | all know all after, s | CPU until then, s | CPU, % of a core | bytes/s | memory, MB |",
                "|---:|---:|---:|---:|---:|---:|",
            ]
            lines += [
                f"| {each.members} | {each.formed:.1f} | {each.starting.of_each(each.members)}"
                f" | {each.idling.of_each(each.members, per=each.seconds / 100)} | {each.bytes_per_second:.0f}"
                f" | {each.megabytes:.0f} |"
                for each in self.idle
            ]
        return "\n".join(lines)


def _columns(each: Figures) -> tuple[list[float], list[float], list[float]]:
    return each.started, each.offered, each.missed


def _middle(values: Sequence[float]) -> float:
    return percentile(values, 50)


def joins_and_deaths(way: str, runs: int) -> Figures:
    """Let a member join, and be killed, so many times."""
    started: list[float] = []
    offered: list[float] = []
    missed: list[float] = []
    with stage(WAYS[way]) as made:
        port = made.first("first")

        def usable() -> bool:
            return any(each["name"] == "other" and each["state"] == "usable" for each in ask(port)["gateways"])

        for _ in range(runs):
            began = time.perf_counter()
            made.start("other")
            told = made.until(lambda: "offering.began" in made.log("other"))
            seen = made.until(usable)
            started.append(seen - began)
            offered.append(max(seen - told, 0.0))
            killed = made.kill("other")
            missed.append(made.until(lambda: not usable()) - killed)
    return Figures(way=way, started=started, offered=offered, missed=missed)


def idle(members: int, seconds: float) -> Idle:
    """Let so many find one another, and look at what they cost then for so long."""
    with stage(p2p_by_dht) as made:
        began, formed = form(made, members)
        starting = spent(made)
        progress(f"all know all after {formed - began:.1f} s; idling")
        time.sleep(10)  # what came with forming is over
        before, sent, clock = spent(made), loopback_bytes(), time.perf_counter()
        time.sleep(seconds)
        after, moved, passed = spent(made), loopback_bytes() - sent, time.perf_counter() - clock
        proportional = sum(memory(pid).proportional for pids in families(made) for pid in pids)
    return Idle(
        members=members,
        formed=formed - began,
        seconds=passed,
        starting=starting,
        idling=Spent(gateways=after.gateways - before.gateways, children=after.children - before.children),
        bytes_per_second=moved / passed / members,
        megabytes=proportional / members,
    )


def form(made: Stage, members: int) -> tuple[float, float]:
    """Start so many, a few at a time; return when the last few were offered, and when each knew all.

    The next few come when all know all: fifty that come at once keep two cores so busy that they take one another for
    dead, which keeps the cores busy.

    Raises:
        TimeoutError: they do not come together.

    """
    made.first("m0")
    waiting = [f"m{number}" for number in range(1, members)]
    while True:
        several, waiting = waiting[:_AT_ONCE], waiting[_AT_ONCE:]
        for name in several:
            made.start(name)
        made.until(lambda several=several: all(map(made.is_offered, several)), every=_LOOK_SECONDS)
        began = time.perf_counter()
        lacking = {port for _, port in made.running.values()}
        formed = made.until(
            partial(_know_all, lacking, len(made.running) - 1), every=_LOOK_SECONDS, patience=_FORMING_SECONDS
        )
        progress(f"{len(made.running)} of {members} know all after {formed - began:.1f} s")
        if not waiting:
            return began, formed


def _know_all(lacking: set[int], others: int) -> bool:
    """Return whether all at the ports in *lacking* know *others*; those that do are taken out."""
    for port in tuple(lacking):
        if _known(port) < others:
            return False
        lacking.remove(port)
    return True


def families(made: Stage) -> list[list[int]]:
    """Return the processes of each member, its gateway first."""
    return [family(process.pid) for process, _ in made.running.values()]


def spent(made: Stage) -> Spent:
    """Return what all members have used of the processor since they were started."""
    both = families(made)
    return Spent(
        gateways=sum(processor_seconds(gateway) for gateway, *_ in both),
        children=sum(processor_seconds(child) for _, *children in both for child in children),
    )


def progress(text: str) -> None:
    """Say on standard error how far it is, with the time."""
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", file=sys.stderr, flush=True)


def _known(port: int) -> int:
    """Return how many others the gateway at *port* knows: also those to which a path is just being opened again."""
    return sum(each["state"] != "gone" for each in ask(port)["gateways"])


def loopback_bytes() -> int:
    """Return the bytes that went over loopback since the machine started, headers and all."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name.strip() == "lo":
            return int(rest.split()[0])
    return 0


def alone() -> None:
    """Go on in a network namespace of our own, where nobody else's bytes are counted, if one can be made."""
    if os.environ.get(_ALONE) or os.geteuid() or not (shutil.which("unshare") and shutil.which("ip")):
        return
    command = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", sys.executable, *sys.argv]
    os.execvpe(command[0], command, {**os.environ, _ALONE: "1"})  # noqa: S606  # no shell's words but our own


def main() -> None:
    """Measure, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="joins and deaths for each way")
    parser.add_argument("--members", type=int, nargs="*", default=[12], help="sizes of idle swarms; none: leave out")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to look at an idle swarm")
    parser.add_argument("--document", action="store_true", help="put the tables into docs/benchmarks.md")
    given = parser.parse_args()
    alone()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # and so everybody who was started is
    figures = [joins_and_deaths(way, given.runs) for way in WAYS] if given.runs else []
    idles = [idle(members, given.seconds) for members in given.members]
    when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    found = Found(when=when, machine=report.machine(), figures=figures, idle=idles)
    report.keep(found, ROOT / "build" / "swarm.json")
    print(found.told())
    if given.document:
        page = ROOT / "docs" / "benchmarks.md"
        page.write_text(report.between(page.read_text(encoding="utf-8"), "swarm", found.told()), encoding="utf-8")


if __name__ == "__main__":
    main()
