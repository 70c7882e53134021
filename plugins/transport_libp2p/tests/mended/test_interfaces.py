from __future__ import annotations

import ipaddress

from swarmgate_transport_libp2p.child.mended.interfaces import own_addresses


def test_this_machines_addresses_are_ips() -> None:
    """Loopback is among them, and each is an IP address without anything beside it."""
    own = own_addresses()
    assert "127.0.0.1" in own
    assert [str(ipaddress.ip_address(ip)) for ip in own] == own
