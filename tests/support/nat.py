"""Two home networks behind routers with NAT, and a machine between them that both can dial; all in namespaces."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

from namespaces import done_in, ip

T = TypeVar("T")

#: Where the machine in the middle is, as both homes see it.
MIDDLE = "10.9.1.1"
_RULES = """
table ip nat {
 chain post {
  type nat hook postrouting priority 100
  oifname "wan" masquerade
 }
}
table ip guard {
 chain passing {
  type filter hook forward priority 0
  iifname "wan" ct state new drop
 }
}
"""
#: What a router has that lets strangers not even knock: what comes to itself unasked is dropped, not refused.
_SILENCE = """
table ip silence {
 chain arriving {
  type filter hook input priority 0
  iifname "wan" ct state new drop
 }
}
"""
_HOSTS = ("middle", "router1", "router2", "home1", "home2")


@dataclass(frozen=True)
class Homes:
    """Namespaces ``middle``, ``home1`` and ``home2``; both homes have the same addresses inside, as homes do."""

    tag: str
    internet: bool = False

    def prefix(self, host: str) -> list[str]:
        """Return what to put before a command so that it runs on *host*."""
        return ["ip", "netns", "exec", self._name(host)]

    @property
    def hosts(self) -> dict[str, str]:
        """Return the addresses of the machines that are no routers, as they see themselves."""
        return {"middle": MIDDLE, "home1": "192.168.1.2", "home2": "192.168.1.3"}

    def run(self, host: str, do: Callable[[], T]) -> T:
        """Return what *do* returns in a thread whose sockets are on *host*."""
        return done_in(self._name(host), do)

    def cut(self, home: str) -> None:
        """Take *home*'s cable out: nobody is told."""
        ip("-n", self._name(home), "link", "set", "eth0", "down")

    def build(self) -> None:
        for host in _HOSTS:
            ip("netns", "add", self._name(host))
            ip("-n", self._name(host), "link", "set", "lo", "up")
        for number in (1, 2):
            router, home = f"router{number}", f"home{number}"
            self._link("middle", f"to{number}", f"10.9.{number}.1", router, "wan", f"10.9.{number}.2")
            self._link(router, "inside", "192.168.1.1", home, "eth0", f"192.168.1.{number + 1}")
            ip("-n", self._name(home), "route", "add", "default", "via", "192.168.1.1")
            ip("-n", self._name(router), "route", "add", "default", "via", f"10.9.{number}.1")
            self._run(router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
            self._run(router, "nft", "-f", "-", said=_RULES + (_SILENCE if self.internet else ""))
        if self.internet:
            self._run("middle", "sysctl", "-qw", "net.ipv4.ip_forward=1")

    def remove(self) -> None:
        for host in _HOSTS:
            with suppress(subprocess.CalledProcessError):
                ip("netns", "delete", self._name(host))

    def _link(self, one: str, dev: str, address: str, other: str, other_dev: str, other_address: str) -> None:
        ip("-n", self._name(one), "link", "add", dev, "type", "veth", "peer", other_dev, "netns", self._name(other))
        for host, name, where in ((one, dev, address), (other, other_dev, other_address)):
            ip("-n", self._name(host), "addr", "add", f"{where}/24", "dev", name)
            ip("-n", self._name(host), "link", "set", name, "up")

    def _run(self, host: str, *command: str, said: str = "") -> None:
        subprocess.run([*self.prefix(host), *command], input=said, text=True, check=True, capture_output=True)

    def _name(self, host: str) -> str:
        return f"swn{self.tag}-{host}"


@contextmanager
def homes(*, internet: bool = False) -> Generator[Homes]:
    """Yield the networks; with *internet* each router can reach the other, and says nothing to what comes unasked."""
    made = Homes(str(os.getpid()), internet)
    try:
        made.build()
        yield made
    finally:
        made.remove()


def why_not() -> str:
    """Return why there can be no such networks here, nothing if they can."""
    try:
        with homes():
            return ""
    except (subprocess.CalledProcessError, OSError) as error:
        return f"network namespaces with NAT cannot be made here: {error}"
