"""Lenders of this machine, each in a process of its own, and plans over them.

Run as a program (``lenders.py FOLDER``) it lends until it is killed; it says where, and with which RPC server.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from swarmgate.api import LLAMA_RPC, Endpoint, ModelCard, NodeId, Offer, Share, SplitPlan, Worker


@dataclass(frozen=True, slots=True)
class Lending:
    """A lender that runs."""

    worker: Worker
    process: subprocess.Popen[str]
    server_pid: int

    @property
    def endpoint(self) -> Endpoint:
        """Return where it listens."""
        return self.worker.endpoint


@contextmanager
def lending(folder: Path, name: str = "w") -> Generator[Lending]:
    """Hold a lender with one thread; *name* is the worker's."""
    process = subprocess.Popen(
        [sys.executable, __file__, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    pid = 0
    try:
        assert process.stdout is not None
        port, pid = map(int, process.stdout.readline().split())
        yield Lending(worker_at(Endpoint("127.0.0.1", port), name), process, pid)
    finally:
        process.kill()
        if pid:
            with suppress(ProcessLookupError):  # it ends by itself, unless a test has stopped it
                os.killpg(pid, signal.SIGCONT)
        process.communicate()


def worker_at(endpoint: Endpoint, name: str = "w") -> Worker:
    """Return a worker that is reached at *endpoint*."""
    labels = {"memory_bytes": str(1 << 30)}
    offer = Offer(node=NodeId(name), service=LLAMA_RPC, name=name, addresses=(f"tcp://{endpoint}",), labels=labels)
    return Worker(offer=offer, endpoint=endpoint)


def spread_over(card: ModelCard, *workers: Worker, here: int = 1) -> SplitPlan:
    """Return a plan with *here* units of *card*'s model here and the others divided evenly among *workers*."""
    units = card.layers + 1
    each = (units - here) / units / len(workers)
    shares = [Share(worker=worker, fraction=each) for worker in workers]
    if here:
        shares.insert(0, Share(worker=None, fraction=here / units))
    return SplitPlan(shares=tuple(shares))


async def _lend(folder: Path) -> None:
    import anyio
    import structlog
    from swarmgate_backend_llamacpp.options import LlamaCppRpcOptions
    from swarmgate_backend_llamacpp.rpc.lender import RpcLender

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    lender = RpcLender(LlamaCppRpcOptions(listen="127.0.0.1:0", threads=1), folder)
    async with lender.lend() as loan:
        assert lender.server is not None
        print(loan.endpoint.port, lender.server.child.pid, flush=True)  # noqa: T201
        await anyio.sleep_forever()


if __name__ == "__main__":
    import anyio

    anyio.run(_lend, Path(sys.argv[1]))
