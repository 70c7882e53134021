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
from functools import cache
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
_CLONE_NEWNET = 0x40000000


@dataclass
class Lan:
    """Namespaces by the short names of their machines; addresses are those of *subnet*: 10.77.0.1 and so on.

    With *ipv6* they have no others than fd77::1 and so on.
    """

    tag: str
    hosts: dict[str, str] = field(default_factory=dict[str, str])
    subnet: str = "10.77.0"
    ipv6: bool = False

    def prefix(self, host: str) -> list[str]:
        """Return what to put before a command so that it runs on *host*."""
        return ["ip", "netns", "exec", self._name(host)]

    def cut(self, host: str) -> None:
        """Take *host*'s cable out: what is on its way is lost, and nobody is told."""
        ip("-n", self._name("switch"), "link", "set", f"p-{host}", "down")

    def mend(self, host: str) -> None:
        """Put the cable back in."""
        ip("-n", self._name("switch"), "link", "set", f"p-{host}", "up")

    def move(self, host: str, address: str) -> None:
        """Give *host* another *address* in the place of the one it has, as a new lease would."""
        ip("-n", self._name(host), "addr", "del", f"{self.hosts[host]}/{64 if self.ipv6 else 24}", "dev", "eth0")
        self.hosts[host] = address
        self.add(host, address)

    def add(self, host: str, address: str) -> None:
        """Give *host* an *address* beside the one it has."""
        # what looks for another machine with the address takes a second or two
        rest = ("64", "nodad") if self.ipv6 else ("24",)
        ip("-n", self._name(host), "addr", "add", f"{address}/{rest[0]}", "dev", "eth0", *rest[1:])

    def run(self, host: str, do: Callable[[], T]) -> T:
        """Return what *do* returns in a thread whose sockets are on *host*."""
        return done_in(self._name(host), do)

    def _name(self, host: str) -> str:
        return f"swg{self.tag}-{host}"

    def build(self, names: Sequence[str]) -> None:
        switch = self._name("switch")
        ip("netns", "add", switch)
        ip("-n", switch, "link", "add", "br0", "type", "bridge")
        ip("-n", switch, "link", "set", "br0", "up")
        for number, host in enumerate(names, 1):
            name, self.hosts[host] = self._name(host), f"fd77::{number}" if self.ipv6 else f"{self.subnet}.{number}"
            ip("netns", "add", name)
            ip("-n", switch, "link", "add", f"p-{host}", "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("-n", switch, "link", "set", f"p-{host}", "master", "br0", "up")
            self.add(host, self.hosts[host])
            ip("-n", name, "link", "set", "eth0", "up")
            ip("-n", name, "link", "set", "lo", "up")

    def remove(self) -> None:
        for host in [*self.hosts, "switch"]:
            with suppress(subprocess.CalledProcessError):
                ip("netns", "delete", self._name(host))


@contextmanager
def lan(*hosts: str, number: int = 0, ipv6: bool = False) -> Generator[Lan]:
    """Yield a switch with *hosts* on it, whose names have at most five letters; each *number* is another network.

    With *ipv6* the machines have addresses of that family alone.
    """
    made = Lan(f"{os.getpid()}{'' if not number else f'n{number}'}", subnet=f"10.77.{number}", ipv6=ipv6)
    try:
        made.build(hosts)
        yield made
    finally:
        made.remove()


@dataclass(frozen=True)
class Router:
    """A machine between two networks, whose cables can be pulled like any other's."""

    name: str

    def cut(self) -> None:
        """Forward nothing any more: each network is alone, and nobody is told."""
        self._forward(on=False)

    def mend(self) -> None:
        """Forward again."""
        self._forward(on=True)

    def _forward(self, *, on: bool) -> None:
        inside(self.name, "sh", "-c", f"echo {int(on)} > /proc/sys/net/ipv4/ip_forward")


@contextmanager
def router(one: Lan, other: Lan, *, nat: bool = False) -> Generator[Router]:
    """Join two networks; no multicast crosses.  With *nat* the machines of *one* are behind its address in *other*.

    Then they can dial out, and nobody can dial in.
    """
    name = f"swg{one.tag}-r"
    ip("netns", "add", name)
    try:
        ip("-n", name, "link", "set", "lo", "up")
        for number, net in enumerate((one, other)):
            switch = f"swg{net.tag}-switch"
            ip("-n", switch, "link", "add", "p-r", "type", "veth", "peer", "name", f"eth{number}", "netns", name)
            ip("-n", switch, "link", "set", "p-r", "master", "br0", "up")
            ip("-n", name, "addr", "add", f"{net.subnet}.254/24", "dev", f"eth{number}")
            ip("-n", name, "link", "set", f"eth{number}", "up")
        for net in (one, other):
            for host in net.hosts:
                # with NAT the others do not even know that there is a network behind it
                if net is one or not nat:
                    ip("-n", f"swg{net.tag}-{host}", "route", "add", "default", "via", f"{net.subnet}.254")
        made = Router(name)
        made.mend()
        if nat:
            rules = (
                "add table ip nat; add chain ip nat out { type nat hook postrouting priority 100; };"
                " add rule ip nat out oifname eth1 masquerade"
            )
            inside(name, "nft", rules)
        yield made
    finally:
        with suppress(subprocess.CalledProcessError):
            ip("netns", "delete", name)


@cache
def why_not() -> str:
    """Return why no namespaces can be made here, nothing if they can; it is tried once."""
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


def done_in(name: str, do: Callable[[], T]) -> T:
    """Return what *do* returns in a thread whose sockets are in the namespace *name*."""
    result: list[T] = []
    failed: list[BaseException] = []

    def entered() -> None:
        try:
            _enter(name)
            result.append(do())
        except BaseException as error:  # noqa: BLE001 -- handed to the caller below
            failed.append(error)

    thread = threading.Thread(target=entered, name=f"in {name}")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return result[0]


def inside(name: str, *command: str) -> None:
    """Run *command* in the namespace *name*.

    Raises:
        CalledProcessError: it failed.

    """
    subprocess.run(["ip", "netns", "exec", name, *command], check=True, capture_output=True)


def why_no_nat() -> str:
    """Return why no address translation can be made here, nothing if it can."""
    if shutil.which("nft") is None:
        return "there is no nft command here (Debian's package nftables)"
    return why_not()


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
