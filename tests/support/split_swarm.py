"""A gateway and its workers as one thing that tests start, look at and harm."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from live_gateway import LiveGateway, live_gateway
from live_worker import LiveWorker, live_worker


@dataclass
class SplitSwarm:
    """The running processes; workers by their names."""

    gateway: LiveGateway
    folder: Path
    workers: dict[str, LiveWorker] = field(default_factory=dict[str, LiveWorker])
    stacks: dict[str, ExitStack] = field(default_factory=dict[str, ExitStack])

    def kill(self, name: str) -> None:
        """Kill a worker, as a power cut would; it stays known, so that it can be started again."""
        os.kill(self.workers[name].process.pid, signal.SIGKILL)

    def stop(self, name: str) -> None:
        """End a worker in order."""
        self.stacks.pop(name).close()

    def start(self, name: str) -> None:
        """Start a worker again, at the address it had."""
        if name in self.stacks:
            self.stacks.pop(name).close()
        stack = ExitStack()
        self.workers[name] = stack.enter_context(live_worker(self.folder, name, listen=self.workers[name].address))
        self.stacks[name] = stack

    def kill_engine(self) -> None:
        """Kill the engine, if there is one just now."""
        for engine in self.gateway.engines:
            os.kill(engine, signal.SIGKILL)

    def model(self) -> dict[str, Any]:
        """Return what ``/v1/swarm`` says of the one model."""
        (found,) = self.gateway.get("/v1/swarm")["models"]
        return found

    def member(self, name: str) -> dict[str, Any]:
        """Return what ``/v1/swarm`` says of the worker called *name* here."""
        address = self.workers[name].address
        return next(each for each in self.gateway.get("/v1/swarm")["workers"] if each["name"] == address)

    def holders(self) -> list[str]:
        """Return who holds layers of the model, by the names used here; this machine is ``here``."""
        names = {worker.address: name for name, worker in self.workers.items()}
        places = self.model().get("places") or []
        return [names.get(place["place"], str(place["place"])) for place in places if place["share"]]

    def until(self, holds: Callable[[], bool], *, seconds: float = 90.0) -> None:
        """Wait until something holds.

        Raises:
            AssertionError: it did not in time; the message has the state and the end of the log.

        """
        end = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > end:
                raise AssertionError(f"{self.gateway.get('/v1/swarm')}\n{self.gateway.said()[-4000:]}")
            time.sleep(0.1)

    def until_held_by(self, *names: str) -> None:
        """Wait until exactly these hold layers, and the model is ready."""
        self.until(lambda: sorted(self.holders()) == sorted(names) and bool(self.model()["ready"]))


@contextmanager
def split_swarm(
    folder: Path,
    model: Path | str,
    names: Sequence[str] = ("one", "two"),
    *,
    idle: Sequence[str] = (),
    more: Sequence[str] = (),
    backend: dict[str, Any] | None = None,
    **settings: Any,
) -> Generator[SplitSwarm]:
    """Run workers called *names* and a gateway that splits *model* over them and itself, until the block ends.

    Those called *idle* are in the gateway's list too, and are not running yet; *more* are addresses of others.
    """
    with ExitStack() as everything:
        stacks: dict[str, ExitStack] = {}
        workers: dict[str, LiveWorker] = {}
        everything.callback(lambda: [stack.close() for stack in stacks.values()])
        for name in [*names, *idle]:
            stacks[name] = ExitStack()
            workers[name] = stacks[name].enter_context(live_worker(folder, name))
        for name in idle:
            stacks.pop(name).close()
        table = {"use": "llamacpp", "model": str(model), "name": "m", "threads": 1, "slots": 4, **(backend or {})}
        wanted: dict[str, Any] = {"placement": "split", "settle_seconds": 0.3, "log_format": "json", **settings}
        gateway = everything.enter_context(
            live_gateway(
                folder,
                [table],
                workers=[*(worker.address for worker in workers.values()), *more],
                **wanted,
            )
        )
        swarm = SplitSwarm(gateway, folder, workers, stacks)
        swarm.until(lambda: {"here", *names} <= set(swarm.holders()))
        yield swarm
