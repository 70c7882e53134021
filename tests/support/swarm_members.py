"""Members of a swarm for tests: gateways and workers with a token, each on a machine of its own or all on this one."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from listeners import Heard, listen_to_all
from live_gateway import LiveGateway, Site, launch, until_ready
from live_worker import clean_environ
from namespaces import Lan
from nat import Homes

#: Tables of a configuration, with their heads.
Parts = Sequence[tuple[str, Mapping[str, Any]]]
#: A swarm without libp2p: nodes find each other by multicast DNS, and reach each other by TLS.
LAN_ONLY: Parts = (
    ("[[transport]]", {"use": "tcp"}),
    ("[[transport]]", {"use": "tls"}),
    ("[ledger]", {"use": "memory"}),
    ("[[discovery]]", {"use": "mdns"}),
)


def by_libp2p(*bootstrap: str, listen: str = "") -> Parts:
    """Return parts by which all goes over libp2p, beginning with *bootstrap*; *listen* is a multiaddress, if any."""
    host = {"bootstrap_peers": list(bootstrap)} | ({"listen_maddrs": [listen]} if listen else {})
    slots = ("[[transport]]", "p2p"), ("[ledger]", "gossip"), ("[[discovery]]", "dht")
    return [(head, {"use": use, **host}) for head, use in slots]


def parts_on_loopback(port: int, *bootstrap: str) -> Parts:
    """Return parts that keep to loopback: libp2p listens on *port*, 0 for any, and begins with *bootstrap*."""
    tls = {"use": "tls", "listen": "127.0.0.1:0", "announce": ["127.0.0.1"]}
    return [("[[transport]]", tls), *by_libp2p(*bootstrap, listen=f"/ip4/127.0.0.1/tcp/{port}")]


def gateway_command(*words: str, home: Path, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run ``gateway WORDS`` with *home* as its state folder and return what came of it."""
    command = [str(Path(sys.executable).with_name("gateway")), *words, "--state-dir", str(home)]
    return subprocess.run(command, capture_output=True, text=True, check=False, input=text, env=clean_environ())


def a_token(folder: Path, name: str = "owner") -> Path:
    """Make a swarm and return the file with its token."""
    home = folder / f"{name}-state"
    made = gateway_command("token", "new", home=home)
    assert made.returncode == 0, made.stderr
    return home / "swarm.token"


def an_invite(token: Path, into: Path, role: str) -> Path:
    """Return a file with an invite into the swarm of *token*, for one machine in that *role*."""
    invited = gateway_command("token", "invite", "--role", role, home=token.parent)
    assert invited.returncode == 0, invited.stderr
    (text,) = [word for word in invited.stdout.split() if word.startswith("sgi_")]
    into.write_text(text)
    into.chmod(0o600)
    return into


@dataclass
class Members:
    """Who is started here is stopped in the end; *nets* are where, none for this machine itself.

    Gateways serve clients at their machine's address, or *on_loopback*, where they are found whatever becomes of it.
    """

    folder: Path
    token: Path
    parts: Parts = LAN_ONLY
    nets: tuple[Lan | Homes, ...] = ()
    started: dict[str, LiveGateway] = field(default_factory=dict[str, LiveGateway])
    on_loopback: bool = False
    _stack: ExitStack = field(default_factory=ExitStack)

    def site(self, host: str) -> Site:
        """Return the machine called *host*."""
        for net in self.nets:
            if host in net.hosts:
                address = "127.0.0.1" if self.on_loopback else net.hosts[host]
                return Site(address, tuple(net.prefix(host)), partial(net.run, host))
        return Site()

    def gateway(
        self,
        host: str,
        *arguments: str,
        backends: Sequence[Mapping[str, Any]] = (),
        token: Path | None = None,
        parts: Parts | None = None,
        wait: bool = True,
        **settings: Any,
    ) -> LiveGateway:
        """Start a gateway on *host* and return it when it answers at all; unless *wait*, at once."""
        running = self._launch(host, arguments or ("run",), backends, token, parts, settings)
        if wait:
            self.until_answering(host)
        return running

    def until_answering(self, host: str, *, seconds: float = 90.0) -> None:
        """Wait until the gateway on *host* answers at all.

        Raises:
            RuntimeError: it ended, or did not in time; the message has the end of its output.

        """
        self.site(host).inside(lambda: until_ready(self.started[host], seconds, path="/livez"))

    def worker(
        self,
        host: str,
        *options: str,
        token: Path | None = None,
        parts: Parts | None = None,
        **settings: Any,
    ) -> LiveGateway:
        """Start a worker on *host*; it is on its way when this returns."""
        arguments = ("worker", "llama-cpp-rpc", "--listen", "127.0.0.1:0", "--threads", "1", *options)
        return self._launch(host, arguments, (), token, parts, settings)

    def kill(self, host: str) -> None:
        """Kill who was started on *host*, children and all, without a word to anybody."""
        running = self.started.pop(host)
        family = _family(running.process.pid)
        for pid in family:
            subprocess.run(["kill", "-KILL", str(pid)], check=False, capture_output=True)
        running.process.wait(10)

    def stop(self, host: str) -> int:
        """Stop who was started on *host* in order; return its exit status."""
        running = self.started.pop(host)
        running.process.terminate()
        return running.process.wait(20)

    def children(self, host: str, word: str) -> list[int]:
        """Return the processes below who was started on *host* whose command has *word* in it."""
        family = _family(self.started[host].process.pid)[1:]
        return [pid for pid in family if word in Path(f"/proc/{pid}/cmdline").read_text()]

    def run(self, host: str, *command: str) -> None:
        """Run *command* on *host*.

        Raises:
            CalledProcessError: it failed.

        """
        subprocess.run([*self.site(host).prefix, *command], check=True, capture_output=True)

    def get(self, host: str, path: str) -> Any:
        """Return the JSON at *path* of the gateway on *host*, asked on that machine."""
        return self.site(host).inside(lambda: self.started[host].get(path))

    def listen(
        self,
        host: str,
        bodies: Sequence[dict[str, Any]],
        disturb: Callable[[Callable[[int], Awaitable[None]]], Awaitable[None]] | None = None,
    ) -> list[Heard]:
        """Read streams of the gateway on *host*, on that machine, while *disturb* does harm."""
        url = self.started[host].url
        return self.site(host).inside(lambda: asyncio.run(listen_to_all(url, bodies, disturb, seconds=120)))

    def until(
        self, host: str, wanted: Callable[[Any], bool], *, seconds: float = 90.0, path: str = "/v1/swarm"
    ) -> float:
        """Wait until what *host* says at *path* is as *wanted*; return how long that took."""
        began = time.monotonic()
        while True:
            said = self.get(host, "/v1/swarm")
            if wanted(said):
                return time.monotonic() - began
            if time.monotonic() - began > seconds:
                log = self.started[host].said()[-4000:]
                raise AssertionError(f"not within {seconds:g} s: {json.dumps(said, indent=1)}\n{log}")
            time.sleep(0.05)

    def _launch(
        self,
        host: str,
        arguments: Sequence[str],
        backends: Sequence[Mapping[str, Any]],
        token: Path | None,
        parts: Parts | None,
        settings: Mapping[str, Any],
    ) -> LiveGateway:
        given: dict[str, Any] = {"name": host, "token_file": str(token or self.token)}
        given |= {"log_format": "json", "log_level": "debug", **settings}
        running = launch(
            self.folder / host,
            backends,
            arguments=arguments,
            tables=self.parts if parts is None else parts,
            site=self.site(host),
            **given,
        )
        self.started[host] = running
        return running


def split_backend(model: Path, **options: Any) -> dict[str, Any]:
    """Return the options of a backend that serves *model* as ``m`` by one thread."""
    return {"use": "llamacpp", "model": str(model), "name": "m", "threads": 1, "slots": 3, **options}


def holders(said: Any) -> int:
    """Return how many machines hold a part of the one model, 0 while it is not ready; *said* is ``/v1/swarm``."""
    (model,) = said["models"]
    return sum(place["share"] > 0 for place in model["places"]) if model["ready"] else 0


def _family(pid: int) -> list[int]:
    """Return *pid* and all its descendants, parents first."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        children = []
    return [pid, *(each for child in children for each in _family(int(child)))]


@contextmanager
def members(
    folder: Path,
    *nets: Lan | Homes,
    parts: Parts = LAN_ONLY,
    token: Path | None = None,
    on_loopback: bool = False,
) -> Generator[Members]:
    """Yield what starts members of one new swarm, on the machines of *nets*; all are stopped in the end."""
    made = Members(folder, token or a_token(folder), parts, nets, on_loopback=on_loopback)
    try:
        yield made
    finally:
        for running in made.started.values():
            running.process.terminate()
        for running in made.started.values():
            try:
                running.process.wait(20)
            except subprocess.TimeoutExpired:
                running.process.kill()
                running.process.wait()
