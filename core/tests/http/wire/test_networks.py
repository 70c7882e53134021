from __future__ import annotations

import msgspec
import pytest
from swarmgate.http.wire.networks import network_of

PEER = "12D3KooWA"


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("tcp://127.0.0.1:8080", "here"),
        ("tcp://[::1]:8080", "here"),
        ("tcp://localhost:1", "here"),
        ("tcp://10.0.0.5:50052", "lan"),
        (f"tls://{PEER}@192.168.1.7:4001/gateway", "lan"),
        ("tcp://[fe80::1]:1", "lan"),
        ("tcp://100.100.1.2:1", "lan"),
        ("tcp://shed:50052", "lan"),
        ("tcp://shed.local:50052", "lan"),
        (f"tls://{PEER}@8.8.8.8:4001/gateway", "internet"),
        ("tcp://[2001:4860:4860::8888]:1", "internet"),
        (f"p2p://{PEER}/gateway?at=%2Fip4%2F10.0.0.5%2Ftcp%2F4001", "lan"),
        (f"p2p://{PEER}/gateway?at=%2Fip6%2F2001%3A4860%3A4860%3A%3A8888%2Ftcp%2F4001", "internet"),
    ],
)
def test_where_an_address_lies(address: str, network: str) -> None:
    """By its host, be it in the URI or in the multiaddress that a peer's address has as a hint."""
    assert network_of(address) == network


@pytest.mark.parametrize(
    "address",
    [
        "",
        "nonsense",
        "tcp://[",
        "tcp://gpu.example.com:1",
        f"p2p://{PEER}/gateway",
        f"p2p://{PEER}/gateway?at=%2Fip4%2F127.0.0.1%2Ftcp%2F1&at=%2Fip4%2F8.8.8.8%2Ftcp%2F1",
    ],
)
def test_where_some_addresses_lie_nobody_can_tell(address: str) -> None:
    """A name may lead anywhere, and of several hints nobody knows which did."""
    assert network_of(address) is msgspec.UNSET
