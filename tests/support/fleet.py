"""Several real gateways, and one in front of them; each may be killed and started again."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from live_gateway import LiveGateway, free_port, launch, until_ready

_PATIENCE = 120.0


@dataclass
class Fleet:
    """Nodes called ``node-0`` and so on, each with *backends*, and the hub that asks them."""

    folder: Path
    backends: Sequence[Sequence[Mapping[str, Any]]]
    ports: list[int] = field(default_factory=list[int])
    nodes: list[LiveGateway] = field(default_factory=list[LiveGateway])
    others: list[LiveGateway] = field(default_factory=list[LiveGateway])

    @property
    def hub(self) -> LiveGateway:
        """Return the gateway in front."""
        return self.others[0]

    def start(self, number: int) -> None:
        """Start that node, at the port it always has."""
        name, port = f"node-{number}", self.ports[number]
        self.nodes[number:] = [
            launch(self.folder / name, self.backends[number], port=port, name=name),
            *self.nodes[number + 1 :],
        ]

    def kill(self, number: int) -> None:
        """Kill that node as the kernel would."""
        self.nodes[number].process.kill()
        self.nodes[number].process.wait()

    def front(self, name: str, nodes: Sequence[str], **more: Any) -> LiveGateway:
        """Start one more gateway in front of *nodes*, without a model of its own."""
        flags = [flag for url in nodes for flag in ("--node", url)]
        more.setdefault("arguments", ("federated", *flags))
        gateway = launch(self.folder / name, (), name=name, **more)
        self.others.append(gateway)
        until_ready(gateway, _PATIENCE, path="/livez")
        return gateway

    def until_slots(self, count: int, model: str) -> None:
        """Wait until the hub has so many slots of *model* or more, over all nodes that are ready."""
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            if standing(self.hub.url).get(model, 0) >= count:
                return
            time.sleep(0.03)
        raise RuntimeError(f"{model!r} did not get {count} slots:\n{self.hub.said()[-3000:]}")

    def close(self) -> None:
        """End all of them."""
        processes = [gateway.process for gateway in (*self.others, *self.nodes)]
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def standing(url: str) -> dict[str, int]:
    """Return by model how many slots are ready at *url*."""
    with urllib.request.urlopen(f"{url}/v1/models", timeout=10) as response:
        listed = json.load(response)["data"]
    return {entry["id"]: entry["meta"]["slots"] * entry["meta"]["ready"] for entry in listed}


@contextmanager
def a_fleet(folder: Path, *backends: Sequence[Mapping[str, Any]], **hub: Any) -> Generator[Fleet]:
    """Run a node for each of *backends*, and a hub with the settings *hub* in front of them."""
    fleet = Fleet(folder, backends, [free_port() for _ in backends])
    try:
        for number in range(len(backends)):
            fleet.start(number)
        for node in fleet.nodes:
            until_ready(node, _PATIENCE)
        fleet.front("hub", [node.url for node in fleet.nodes], **hub)
        yield fleet
    finally:
        fleet.close()
