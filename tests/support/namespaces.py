"""Machines of the test's own: network namespaces on one switch, each with an address nobody else can reach.

The switch is a bridge in a namespace of its own, so nothing of this touches the machine's real network.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
_CLONE_NEWNET = 0x40000000


@dataclass
class Lan:
    """Namespaces by the short names of their machines; addresses are 10.77.0.1 and so on."""

    tag: str
    hosts: dict[str, str] = field(default_factory=dict[str, str])

    def prefix(self, host: str) -> list[str]:
        """Return what to put before a command so that it runs on *host*."""
        return ["ip", "netns", "exec", self._name(host)]

    def cut(self, host: str) -> None:
        """Take *host*'s cable out: what is on its way is lost, and nobody is told."""
        ip("-n", self._name("switch"), "link", "set", f"p-{host}", "down")

    def mend(self, host: str) -> None:
        """Put the cable back in."""
        ip("-n", self._name("switch"), "link", "set", f"p-{host}", "up")

    def run(self, host: str, do: Callable[[], T]) -> T:
        """Return what *do* returns in a thread whose sockets are on *host*."""
        result: list[T] = []
        failed: list[BaseException] = []

        def inside() -> None:
            try:
                _enter(self._name(host))
                result.append(do())
            except BaseException as error:  # noqa: BLE001 -- handed to the caller below
                failed.append(error)

        thread = threading.Thread(target=inside, name=f"on {host}")
        thread.start()
        thread.join()
        if failed:
            raise failed[0]
        return result[0]

    def _name(self, host: str) -> str:
        return f"swg{self.tag}-{host}"

    def build(self, names: Sequence[str]) -> None:
        switch = self._name("switch")
        ip("netns", "add", switch)
        ip("-n", switch, "link", "add", "br0", "type", "bridge")
        ip("-n", switch, "link", "set", "br0", "up")
        for number, host in enumerate(names, 1):
            name, self.hosts[host] = self._name(host), f"10.77.0.{number}"
            ip("netns", "add", name)
            ip("-n", switch, "link", "add", f"p-{host}", "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("-n", switch, "link", "set", f"p-{host}", "master", "br0", "up")
            ip("-n", name, "addr", "add", f"{self.hosts[host]}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            ip("-n", name, "link", "set", "lo", "up")

    def remove(self) -> None:
        for host in [*self.hosts, "switch"]:
            with suppress(subprocess.CalledProcessError):
                ip("netns", "delete", self._name(host))


@contextmanager
def lan(*hosts: str) -> Generator[Lan]:
    """Yield a switch with *hosts* on it, whose names have at most ten letters."""
    made = Lan(str(os.getpid()))
    try:
        made.build(hosts)
        yield made
    finally:
        made.remove()


def why_not() -> str:
    """Return why no namespaces can be made here, nothing if they can."""
    if shutil.which("ip") is None:
        return "there is no ip command here (Debian's package iproute2)"
    try:
        with lan("a") as made:
            made.run("a", lambda: None)
    except (subprocess.CalledProcessError, OSError) as error:
        return f"network namespaces with veth links cannot be made here: {error}"
    return ""


def ip(*arguments: str) -> None:
    """Run ``ip``.

    Raises:
        CalledProcessError: it failed.

    """
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def _enter(name: str) -> None:
    """Move this thread, and no other, into the namespace *name*."""
    handle = os.open(Path("/run/netns") / name, os.O_RDONLY)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(handle, _CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(handle)
