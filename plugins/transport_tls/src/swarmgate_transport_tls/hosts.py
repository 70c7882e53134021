"""Which of this machine's addresses others are told to dial."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv6Address, ip_address

from swarmgate.api import Endpoint

#: No more are announced: each is dialled by everybody who looks for us.
MOST = 6
#: Bridges of containers and virtual machines: often the same address on every machine, so they come last.
_INNER = ("docker", "br-", "virbr", "veth", "cni", "flannel", "podman", "lxc", "vmnet", "vboxnet")


def usable(found: Iterable[tuple[str, str]], *, ipv6: bool) -> tuple[str, ...]:
    """Return those of the addresses *found* that others can dial, best first; pure.

    *found* are pairs of an interface's name and an address.  IPv4 comes before IPv6, what containers use last.
    Loopback is there only if nothing else is.
    """
    ranked: dict[str, tuple[bool, bool, int]] = {}
    for number, (interface, text) in enumerate(found):
        address = ip_address(text.partition("%")[0])
        is_ipv6 = isinstance(address, IPv6Address)
        if address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast:
            continue
        if is_ipv6 and not ipv6:
            continue
        ranked.setdefault(str(address), (interface.startswith(_INNER), is_ipv6, number))
    return tuple(sorted(ranked, key=ranked.__getitem__))[:MOST] or ("127.0.0.1",)


def own_addresses() -> list[tuple[str, str]]:
    """Return the interfaces of this machine with each of their addresses; reads them from the system."""
    import ifaddr  # here: with it comes ctypes, which nobody needs who exposes nothing

    return [
        (adapter.name, str(ip.ip if ip.is_IPv4 else ip.ip[0]))
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
    ]


def is_wildcard(host: str) -> bool:
    """Return whether *host* means every interface; pure."""
    return host in {"0.0.0.0", "::"}  # noqa: S104  # compared, not bound


def announced(
    listening: Endpoint, announce: Sequence[Endpoint], found: Iterable[tuple[str, str]]
) -> tuple[Endpoint, ...]:
    """Return where others find who is *listening*; pure.  *announce* overrides, its ports 0 stand for ours."""
    if announce:
        return tuple(Endpoint(there.host, there.port or listening.port) for there in announce)
    if not is_wildcard(listening.host):
        return (listening,)
    return tuple(Endpoint(host, listening.port) for host in usable(found, ipv6=listening.host == "::"))
