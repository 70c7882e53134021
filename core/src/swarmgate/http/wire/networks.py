"""Where an address lies: on this machine, on a network of one's own, or anywhere.  Pure."""

from __future__ import annotations

import ipaddress
import re
from typing import Literal
from urllib.parse import unquote, urlsplit

from msgspec import UNSET, UnsetType

#: This machine; a private or link-local network, or one behind a carrier or a tunnel; any other.
Network = Literal["here", "lan", "internet"]
#: A host in libp2p's multiaddrs, which stand in the query of an address of a swarm.
_MULTIADDR = re.compile(r"/(?:ip4|ip6|dns|dns4|dns6|dnsaddr)/([^/&?#]+)")


def network_of(address: str) -> Network | UnsetType:
    """Return where *address*, a URI of an offer, lies; UNSET if that cannot be told from it."""
    hosts = _MULTIADDR.findall(unquote(address)) or [_host(address)]
    found: set[Network | UnsetType] = {_network_of_host(host) for host in hosts}
    return found.pop() if len(found) == 1 else UNSET  # of several hints nobody knows which led there


def _network_of_host(host: str) -> Network | UnsetType:
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return _network_of_name(host.lower().rstrip("."))
    if ip.is_loopback:
        return "here"
    return "internet" if ip.is_global else "lan"


def _network_of_name(name: str) -> Network | UnsetType:
    if name == "localhost" or name.endswith(".localhost"):
        return "here"
    if not name:
        return UNSET
    if "." not in name or name.endswith((".local", ".lan", ".home.arpa", ".internal")):
        return "lan"
    return UNSET


def _host(address: str) -> str:
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    # the host of a peer's own address is its id, which leads nowhere by itself
    return parts.hostname or "" if parts.netloc and parts.scheme != "p2p" else ""
