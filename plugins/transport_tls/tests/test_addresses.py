from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.api import ConfigError, Endpoint, NodeId, Service, peer_id
from swarmgate_transport_tls.addresses import Address, numbered, read, read_endpoint

PEER = peer_id(bytes(32))  # the same in each process, as names of tests have to be


@pytest.mark.parametrize("host", ["10.0.0.5", "fd00::5", "node.lan", "a-b_c.example"])
def test_an_address_is_read_as_it_was_written(host: str) -> None:
    """Host, port, peer and service come back, whatever kind of host it is."""
    address = Address(PEER, host, 7479, "llama-rpc.2")
    assert read(str(address)) == address


def test_an_address_names_its_peer_before_the_host() -> None:
    """The form is the one that the swarm agreed on."""
    assert str(Address(PEER, "fd00::5", 7479, "gateway")) == f"tls://{PEER}@[fd00::5]:7479/gateway"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "not an address of this transport"),
        ("tls:", "not an address of this transport"),
        (f"tcp://{PEER}@10.0.0.5:1/gateway", "not an address of this transport"),
        ("tls://10.0.0.5:1/gateway", "names no peer"),
        ("tls://somebody@10.0.0.5:1/gateway", "no peer id"),
        (f"tls://{PEER}@10.0.0.5:1", "names no service"),
        (f"tls://{PEER}@10.0.0.5:1/", "names no service"),
        (f"tls://{PEER}@10.0.0.5:1/a/b", "names no service"),
        (f"tls://{PEER}@10.0.0.5:1/gateway.0", "names no service"),
        (f"tls://{PEER}@10.0.0.5/gateway", "has no port"),
        (f"tls://{PEER}@10.0.0.5:0/gateway", "has no port"),
        (f"tls://{PEER}@10.0.0.5:65536/gateway", "has no port"),
        (f"tls://{PEER}@10.0.0.256:1/gateway", "no host"),
        (f"tls://{PEER}@[fd00::x]:1/gateway", "no host"),
        (f"tls://{PEER}@fd00::5:1/gateway", "no host"),
        (f"tls://{PEER}@-a:1/gateway", "no host"),
        (f"tls://{PEER}@{'a' * 2000}:1/gateway", "not an address of this transport"),
    ],
)
def test_what_is_no_address_is_refused(text: str, fault: str) -> None:
    """Nothing is guessed: the message shows the text and says what is wrong."""
    with pytest.raises(ConfigError, match=fault):
        read(text)


@given(st.text() | st.text().map(lambda rest: f"tls://{PEER}@{rest}"))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    """Other people's addresses raise nothing but our own error, and what is read is written the same."""
    try:
        address = read(text)
    except ConfigError:
        return
    assert read(str(address)) == address


def test_exposures_of_one_service_are_numbered() -> None:
    """The first has the bare name, a later one the smallest number that is free."""
    service = Service("llama-rpc")
    assert numbered(service, frozenset()) == "llama-rpc"
    assert numbered(service, frozenset({"llama-rpc"})) == "llama-rpc.2"
    assert numbered(service, frozenset({"llama-rpc", "llama-rpc.3"})) == "llama-rpc.2"
    assert numbered(service, frozenset({"llama-rpc.2"})) == "llama-rpc"


@pytest.mark.parametrize("service", ["", "a/b", "Gateway", "a.2", "ü"])
def test_a_service_that_no_address_can_name_is_refused(service: str) -> None:
    """What is exposed can be asked for: everything else is refused at once."""
    if service == "a.2":
        assert read(str(Address(NodeId(PEER), "h", 1, numbered(Service(service), frozenset())))).service == "a.2"
        return
    with pytest.raises(ConfigError, match="cannot stand in an address"):
        numbered(Service(service), frozenset())


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("node.lan", Endpoint("node.lan", 7)),
        ("node.lan:8", Endpoint("node.lan", 8)),
        ("10.0.0.5", Endpoint("10.0.0.5", 7)),
        ("fd00::5", Endpoint("fd00::5", 7)),
        ("[fd00::5]", Endpoint("fd00::5", 7)),
        ("[fd00::5]:8", Endpoint("fd00::5", 8)),
    ],
)
def test_a_host_alone_gets_the_port_that_is_given(text: str, endpoint: Endpoint) -> None:
    """Where a port is known, hosts may stand without one."""
    assert read_endpoint(text, port=7) == endpoint


@pytest.mark.parametrize("text", ["10.0.0.5", "node.lan:", ":8", "node.lan:²"])
def test_a_port_is_needed_where_none_is_known(text: str) -> None:
    """An option that says where to listen says the port."""
    with pytest.raises(ConfigError, match="has no port"):
        read_endpoint(text)
