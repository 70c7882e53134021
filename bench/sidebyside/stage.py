"""A swarm of real gateways on loopback: who is started, who is asked, who is killed; none outlives the benchmark."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import msgspec

from sidebyside.contenders import family, free_port
from sidebyside.membership import found_by_mdns

_GATEWAY = str(Path(sys.executable).with_name("gateway"))
_PATIENCE = 300.0
#: How often it is looked, in seconds: what is found out is late by up to this.
_LOOK_SECONDS = 0.005


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
            command = [*dying_with_us(), _GATEWAY, "run"]
            process = subprocess.Popen(command, cwd=home, stdout=log, stderr=log, start_new_session=True)
        self.running[name] = (process, port)
        return port

    def first(self, name: str) -> int:
        """Start the member whose address the others know, and return its HTTP port."""
        port = self.start(name)
        self.until(lambda: self.is_offered(name))
        address = ask(port)["gateway"]["id"]
        text = (self.folder / name / "gateway.toml").read_text()
        if "listen_maddrs" in text:
            where = text.partition('listen_maddrs = ["')[2].partition('"')[0]
            self.known = f"{where}/p2p/{address}"
        return port

    def log(self, name: str) -> str:
        """Return what *name* has logged."""
        return (self.folder / name / "log").read_text()

    def is_offered(self, name: str) -> bool:
        """Return whether *name* has said that it can be reached by others.

        Raises:
            RuntimeError: it has ended instead.

        """
        if (status := self.running[name][0].poll()) is not None:
            raise RuntimeError(f"{name} ended with status {status}: {self.log(name)[-2000:]}")
        return "offering.began" in self.log(name)

    def until(self, wanted: Callable[[], bool], *, every: float = _LOOK_SECONDS, patience: float = _PATIENCE) -> float:
        """Wait until *wanted*, looking each *every* seconds; return the moment it was.

        Raises:
            TimeoutError: it does not come within *patience* seconds.

        """
        end = time.perf_counter() + patience
        while time.perf_counter() < end:
            with suppress(OSError):  # it does not answer yet
                if wanted():
                    return time.perf_counter()
            time.sleep(every)
        raise TimeoutError(f"not within {patience:g} s; the logs are in {self.folder}")

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


def dying_with_us() -> list[str]:
    """Return the words before a command that have its process killed when ours is gone, however that ends, on Linux.

    What the gateway starts ends with its standard input.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []


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
