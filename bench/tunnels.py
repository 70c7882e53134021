"""Measures the swarm's tunnels on loopback: rates, round trips and CPU time, beside bare TLS and TCP.  See ``--help``.

All contenders stay up and take turns.  ``tcp`` and ``ssl`` go from one end straight to the other; ``clear`` goes
through the forwarders of ``tls``, without TLS.  With few cores the ends and the forwarders compete for them.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import ssl
import tempfile
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sidebyside import report
from sidebyside.clear import forward
from sidebyside.contenders import processor_seconds
from sidebyside.ends import MAKE, TAKE, far_end, move, tls_context, trips
from sidebyside.tunnelling import Turn, table, turn
from swarmgate.api import GATEWAY, Endpoint, Membership, Node, PartContext
from swarmgate.testing import a_swarm
from swarmgate_transport_libp2p.opening import open_sidecar
from swarmgate_transport_libp2p.options import P2pOptions
from swarmgate_transport_libp2p.transport import P2pTransport
from swarmgate_transport_tls.transport import TlsTransport, open_transport

ROOT = Path(__file__).parent.parent
#: Kept as it is in the table.
CONTENDERS = ("tcp", "ssl", "clear", "tls", "p2p")
_SMALL, _LARGE = 64, 16 << 10


@dataclass(frozen=True)
class Contender:
    """Where its near end dials, with what TLS, and which processes work for it besides this one."""

    name: str
    port: int
    context: ssl.SSLContext | None
    processes: tuple[int, ...]


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one run."""

    when: str
    machine: dict[str, str]
    megabytes: int
    seconds: float
    turns: dict[str, list[Turn]]

    def told(self) -> str:
        """Return the run as a part of a document."""
        facts = ", ".join(f"{name} {fact}" for name, fact in self.machine.items())
        rounds = len(next(iter(self.turns.values())))
        head = f"{self.when}, {facts}; {rounds} rounds of {self.megabytes} MB each way, {self.seconds:.0f} s in all."
        return f"{head}\n\n{table(self.turns)}"


@contextmanager
def process(target: Callable[..., None], *arguments: object) -> Generator[tuple[int, Any]]:
    """Run *target* in a process of its own; yield its number and what it says first."""
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe()
    started = spawning.Process(target=target, args=(theirs, *arguments), daemon=True)
    started.start()
    try:
        yield started.pid or 0, ours.recv()
    finally:
        started.kill()
        started.join()


def pem(membership: Membership) -> bytes:
    """Return a member's key and certificate as OpenSSL reads them."""
    key = Ed25519PrivateKey.from_private_bytes(membership.key)
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return text + ssl.DER_cert_to_PEM_cert(membership.certificate).encode()


@asynccontextmanager
async def tls_tunnel(one: Membership, other: Membership, port: int) -> AsyncGenerator[tuple[int, tuple[int, int]]]:
    """Hold a tunnel from member *one* to *port* at the *other*; yield where it begins, and its two processes."""

    def transport(member: Membership) -> Any:
        return open_transport(member, listen="127.0.0.1:0", announce=(), timeout_seconds=5)

    far: TlsTransport
    near: TlsTransport
    async with (
        transport(other) as far,
        transport(one) as near,
        far.expose(GATEWAY, Endpoint("127.0.0.1", port)) as addresses,
        near.reach(addresses[0]) as endpoint,
    ):
        yield endpoint.port, (near.pid or 0, far.pid or 0)


@asynccontextmanager
async def p2p_tunnel(one: Membership, other: Membership, port: int) -> AsyncGenerator[tuple[int, tuple[int, int]]]:
    """Hold the same over libp2p."""

    def host(member: Membership, folder: Path) -> Any:
        folder.mkdir()
        options = P2pOptions(listen_maddrs=["/ip4/127.0.0.1/tcp/0"])
        return open_sidecar(options, PartContext(Node(member.id, "bench"), folder, member))

    with tempfile.TemporaryDirectory(prefix="swarmgate-tunnels-") as name:
        async with (
            host(other, Path(name, "far")) as far,
            host(one, Path(name, "near")) as near,
            P2pTransport(far).expose(GATEWAY, Endpoint("127.0.0.1", port)) as addresses,
            P2pTransport(near).reach(addresses[0]) as endpoint,
        ):
            yield endpoint.port, (near.child.pid or 0, far.child.pid or 0)


@asynccontextmanager
async def contenders(names: tuple[str, ...]) -> AsyncGenerator[list[Contender]]:
    """Hold all *names* up, with one far end for all of them."""
    one, other = a_swarm()
    async with AsyncExitStack() as stack:
        end, (plain, secure) = stack.enter_context(process(far_end, pem(other), other.authority))
        found: list[Contender] = []
        for name in names:
            if name == "tcp":
                found.append(Contender(name, plain, None, (end,)))
            elif name == "ssl":
                found.append(Contender(name, secure, tls_context(pem(one), one.authority, server=False), (end,)))
            elif name == "clear":
                far, port = stack.enter_context(process(forward, "far", plain))
                near, port = stack.enter_context(process(forward, "near", port))
                found.append(Contender(name, port, None, (end, near, far)))
            else:
                tunnel = tls_tunnel if name == "tls" else p2p_tunnel
                port, pids = await stack.enter_async_context(tunnel(one, other, plain))
                found.append(Contender(name, port, None, (end, *pids)))
        yield found


async def measure(contender: Contender, size: int, count: int) -> Turn:
    """Give *contender* one turn: *size* bytes up and down, *count* round trips of each size."""

    def spent() -> float:
        return sum(map(processor_seconds, (os.getpid(), *contender.processes)))

    before = spent()
    up = await move(contender.port, TAKE, size, contender.context)
    down = await move(contender.port, MAKE, size, contender.context)
    cpu = spent() - before
    small = await trips(contender.port, _SMALL, count, contender.context)
    large = await trips(contender.port, _LARGE, count, contender.context)
    return turn(size=size, seconds=(up, down), cpu_seconds=cpu, small=small, large=large)


async def run(names: tuple[str, ...], rounds: int, megabytes: int, count: int) -> Run:
    """Measure all *names* turn about."""
    when, began = datetime.now(UTC), perf_counter()
    size = megabytes * 1_000_000 // (1 << 18) * (1 << 18)
    turns: dict[str, list[Turn]] = {name: [] for name in names}
    async with contenders(names) as found:
        order = deque(found)
        for contender in found:
            await measure(contender, min(size, 64 << 20), 200)  # buffers grown, code seen
        for _ in range(rounds):
            for contender in order:
                turns[contender.name].append(await measure(contender, size, count))
                print(table({contender.name: turns[contender.name][-1:]}).splitlines()[-1], flush=True)
            order.rotate(-1)
    return Run(
        when=when.strftime("%Y-%m-%d %H:%M UTC"),
        machine=report.machine(),
        megabytes=megabytes,
        seconds=perf_counter() - began,
        turns=turns,
    )


def main() -> None:
    """Read the command line, run, print the table and write it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each has a turn (default 5)")
    parser.add_argument("--megabytes", type=int, default=2000, help="how much goes each way in a turn (default 2000)")
    parser.add_argument("--trips", type=int, default=2000, help="round trips of each size in a turn (default 2000)")
    parser.add_argument("--only", choices=CONTENDERS, action="append", help="measure these alone")
    parser.add_argument("--document", action="store_true", help="write the table into docs/benchmarks.md, too")
    given = parser.parse_args()
    names = tuple(name for name in CONTENDERS if not given.only or name in given.only)
    found = asyncio.Runner(loop_factory=uvloop.new_event_loop).run(
        run(names, given.rounds, given.megabytes, given.trips)
    )
    print(found.told())
    report.keep(found, ROOT / "build" / "tunnels.json")
    if given.document:
        page = ROOT / "docs" / "benchmarks.md"
        page.write_text(report.between(page.read_text(), "tunnels", found.told()))


if __name__ == "__main__":
    main()
