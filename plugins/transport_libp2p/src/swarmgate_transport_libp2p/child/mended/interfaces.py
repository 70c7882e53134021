"""The IP addresses of this machine."""

from __future__ import annotations

import ifaddr


def own_addresses() -> list[str]:
    """Return every IP address of every interface, loopback included; IPv6 without its scope."""
    return [str(ip.ip if ip.is_IPv4 else ip.ip[0]) for adapter in ifaddr.get_adapters() for ip in adapter.ips]
