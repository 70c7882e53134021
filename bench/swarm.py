"""Measures a swarm on loopback: joining, dying, and idling.  See ``--help``."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import msgspec
from sidebyside import report
from sidebyside.contenders import family, free_port, processor_seconds
from sidebyside.figures import percentile
from sidebyside.footprint import memory
from sidebyside.membership import found_by_mdns

ROOT = Path(__file__).parent.parent
_GATEWAY = str(Path(sys.executable).with_name("gateway"))
#: Set in the process that is alone in its network.
_ALONE = "SWARMGATE_BENCH_ALONE"
_PATIENCE = 300.0
#: How often it is looked, in seconds: what is found out is late by up to this.
_LOOK_SECONDS = 0.005


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured of one way to find and reach others; times in seconds, one for each run."""

    way: str
    started: list[float]
    offered: list[float]
    missed: list[float]


class Idle(msgspec.Struct, frozen=True, kw_only=True):
    """What *members* cost that do nothing: CPU in percent of one core and bytes a second, each for one of them.

    *formed* is how many seconds it took from the last one's first answer until each knew all.
    """

    members: int
    formed: float
    seconds: float
    cpu_percent: float
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
                "| members | all know all after, s | CPU of each, % of a core | bytes/s of each | memory of each, MB |",
                "|---:|---:|---:|---:|---:|",
            ]
            lines += [
                f"| {each.members} | {each.formed:.1f} | {each.cpu_percent:.2f} | {each.bytes_per_second:.0f}"
                f" | {each.megabytes:.0f} |"
                for each in self.idle
            ]
        return "\n".join(lines)


def _columns(each: Figures) -> tuple[list[float], list[float], list[float]]:
    return each.started, each.offered, each.missed


def _middle(values: Sequence[float]) -> float:
    return percentile(values, 50)


def tls_by_mdns(_port: int, _known: str) -> str:
    """Return the tables of a swarm without libp2p."""
    return found_by_mdns()


def p2p_by_dht(port: int, known: str) -> str:
    """Return the tables of a swarm that does all by libp2p, on *port*; *known* is a member's multiaddress, or empty."""
    others = f'["{known}"]' if known else "[]"
    host = f'listen_maddrs = ["/ip4/127.0.0.1/tcp/{port}"]\nbootstrap_peers = {others}\n'
    return f'[[transport]]\nuse = "p2p"\n{host}[ledger]\nuse = "gossip"\n{host}[[discovery]]\nuse = "dht"\n{host}'


WAYS: Mapping[str, Callable[[int, str], str]] = {"mdns, tls": tls_by_mdns, "dht and gossip, p2p": p2p_by_dht}


@dataclass
class Stage:
    """A folder, a token, and who was started; all are killed in the end."""

    folder: Path
    tables: Callable[[int, str], str]
    known: str = ""
    running: dict[str, tuple[subprocess.Popen[bytes], int]] = field(
        default_factory=dict[str, tuple[subprocess.Popen[bytes], int]]
    )

    def start(self, name: str) -> int:
        """Start a gateway called *name* and return its HTTP port."""
        home = self.folder / name
        home.mkdir(exist_ok=True)
        port, p2p = free_port(), free_port()
        head = (
            f'[gateway]\nlisten = "127.0.0.1:{port}"\nname = "{name}"\nfederated = true\nlog_format = "json"\n'
            f'token_file = "{self.folder}/owner/swarm.token"\nstate_dir = "{home}"\n[[backend]]\nuse = "echo"\n'
        )
        (home / "gateway.toml").write_text(head + self.tables(p2p, self.known))
        with (home / "log").open("wb") as log:
            process = subprocess.Popen([_GATEWAY, "run"], cwd=home, stdout=log, stderr=log, start_new_session=True)
        self.running[name] = (process, port)
        return port

    def first(self, name: str) -> int:
        """Start the member whose address the others know, and return its HTTP port."""
        port = self.start(name)
        self.until(lambda: "offering.began" in self.log(name))
        address = ask(port)["gateway"]["id"]
        text = (self.folder / name / "gateway.toml").read_text()
        if "listen_maddrs" in text:
            where = text.partition('listen_maddrs = ["')[2].partition('"')[0]
            self.known = f"{where}/p2p/{address}"
        return port

    def log(self, name: str) -> str:
        """Return what *name* has logged."""
        return (self.folder / name / "log").read_text()

    def until(self, wanted: Callable[[], bool]) -> float:
        """Wait until *wanted*; return the moment it was.

        Raises:
            TimeoutError: it does not come.

        """
        end = time.perf_counter() + _PATIENCE
        while time.perf_counter() < end:
            with suppress(OSError):  # it does not answer yet
                if wanted():
                    return time.perf_counter()
            time.sleep(_LOOK_SECONDS)
        raise TimeoutError(f"not within {_PATIENCE:g} s; the logs are in {self.folder}")

    def kill(self, name: str) -> float:
        """Kill *name* and its children at once; return when."""
        process, _ = self.running.pop(name)
        pids = family(process.pid)
        moment = time.perf_counter()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        return moment


@contextmanager
def stage(tables: Callable[[int, str], str]) -> Generator[Stage]:
    """Yield a stage with a new token."""
    with tempfile.TemporaryDirectory(prefix="swarmgate-swarm-") as name:
        folder = Path(name)
        subprocess.run(
            [_GATEWAY, "token", "new", "--state-dir", str(folder / "owner")], check=True, capture_output=True
        )
        made = Stage(folder, tables)
        try:
            yield made
        finally:
            for each in list(made.running):
                made.kill(each)


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
        made.first("m0")
        for number in range(1, members):
            made.start(f"m{number}")
        ports = [port for _, port in made.running.values()]
        began = max(made.until(lambda port=port: bool(ask(port))) for port in ports)
        formed = max(made.until(lambda port=port: _known(port) >= members - 1) for port in ports) - began
        time.sleep(10)  # what came with forming is over
        pids = [pid for process, _ in made.running.values() for pid in family(process.pid)]
        cpu, sent, clock = sum(map(processor_seconds, pids)), loopback_bytes(), time.perf_counter()
        time.sleep(seconds)
        spent, moved, passed = (
            sum(map(processor_seconds, pids)) - cpu,
            loopback_bytes() - sent,
            time.perf_counter() - clock,
        )
        proportional = sum(memory(pid).proportional for pid in pids)
    return Idle(
        members=members,
        formed=formed,
        seconds=passed,
        cpu_percent=spent / passed / members * 100,
        bytes_per_second=moved / passed / members,
        megabytes=proportional / members,
    )


def _known(port: int) -> int:
    """Return how many others the gateway at *port* could send a request to."""
    return sum(each["state"] in {"usable", "announced"} for each in ask(port)["gateways"])


def ask(port: int) -> Any:
    """Return what the gateway at *port* says of its swarm.

    Raises:
        OSError: it does not answer.

    """
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/v1/swarm")
        return msgspec.json.decode(connection.getresponse().read())
    finally:
        connection.close()


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
