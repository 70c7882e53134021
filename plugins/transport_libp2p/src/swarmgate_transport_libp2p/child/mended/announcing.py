"""Under which addresses others are told to look for us; pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

_UNSPECIFIED = {"0.0.0.0": 4, "::": 6}  # noqa: S104  # names to recognise, not to bind


def ip_of(address: str) -> str | None:
    """Return the IP address that a multiaddress such as ``/ip4/10.0.0.5/tcp/4001`` begins with."""
    parts = address.split("/")
    return parts[2] if len(parts) > 2 and parts[1] in {"ip4", "ip6"} else None  # noqa: PLR2004  # "", kind, value


def is_loopback(address: str) -> bool:
    """Whether *address* leads nowhere but to the machine that uses it."""
    return (ip := ip_of(address)) is not None and ipaddress.ip_address(ip).is_loopback


def is_usable(address: str) -> bool:
    """Whether *address* can be dialled at all: neither unspecified nor without a port."""
    return ip_of(address) not in _UNSPECIFIED and "/tcp/0/" not in f"{address}/"


def announced(listening: Iterable[str], own: Sequence[str]) -> list[str]:
    """Return what to announce of the addresses in *listening*, given this machine's *own* IP addresses.

    Unspecified addresses become this machine's.  Loopback is announced only when nothing else is there.
    """
    spread: dict[str, None] = {}
    for address in listening:
        ip = ip_of(address)
        if (family := _UNSPECIFIED.get(ip or "")) is None:
            spread[address] = None
            continue
        rest = address.split("/", 3)[3]
        for mine in own:
            if (parsed := ipaddress.ip_address(mine)).version == family and not parsed.is_link_local:
                spread[f"/ip{family}/{mine}/{rest}"] = None
    remote = [address for address in spread if not is_loopback(address)]
    return remote or list(spread)
