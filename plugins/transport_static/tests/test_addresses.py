from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.api import ConfigError, Endpoint
from swarmgate_transport_static.addresses import from_uri, is_loopback, is_wildcard, parse, read, to_uri


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("10.0.0.5:50052", "10.0.0.5", 50052),
        (" 10.0.0.5:50052\n", "10.0.0.5", 50052),
        ("worker.lan:1", "worker.lan", 1),
        ("Worker_2.LAN.:65535", "worker_2.lan", 65535),
        ("localhost:8080", "localhost", 8080),
        ("4u:80", "4u", 80),
        ("[::1]:50052", "::1", 50052),
        ("[FD00:0:0::5]:50052", "fd00::5", 50052),
        ("[fe80::1%eth0]:50052", "fe80::1%eth0", 50052),
    ],
)
def test_reads_what_people_write(text: str, host: str, port: int) -> None:
    """Names, IPv4 and bracketed IPv6 are read, and written one way."""
    assert parse(text) == Endpoint(host, port)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "has no port"),
        ("10.0.0.5", "has no port"),
        ("[::1]", "has no port"),
        ("[::1:50052", "has no port"),
        ("10.0.0.5:", "the port '' is not a number"),
        ("10.0.0.5:http", "the port 'http' is not a number"),
        ("10.0.0.5:-1", "the port '-1' is not a number"),
        ("10.0.0.5:\N{FULLWIDTH DIGIT ONE}", "is not a number"),
        ("10.0.0.5:0", "nothing can be dialled at port 0"),
        ("10.0.0.5:65536", "the port is 65536, and the highest is 65535"),
        ("10.0.0.5:" + "9" * 5000, "the highest is 65535"),
        ("10.0.0.256:1", "is no IPv4 address"),
        ("10.0.0:1", "is no IPv4 address"),
        ("fd00::5:50052", "stands in brackets"),
        ("[fd00::g]:50052", "is no IPv6 address"),
        ("tcp://10.0.0.5:50052", "is a URL"),
        (":50052", "is no host name"),
        ("-a.lan:1", "is no host name"),
        ("a b:1", "is no host name"),
        ("a..b:1", "is no host name"),
        ("x" * 64 + ":1", "is no host name"),
    ],
)
def test_a_malformed_entry_is_named(text: str, complaint: str) -> None:
    """The error names the entry and says what is wrong with it."""
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert complaint in str(caught.value)
    assert repr(text.strip()) in str(caught.value)


def test_one_bad_entry_does_not_spoil_the_rest() -> None:
    """All good entries are read in order, and every fault is reported."""
    good, faults = read(["10.0.0.5:1, nonsense, 10.0.0.6:2,", "[::1]:0", "10.0.0.7:3"])
    assert [str(endpoint) for endpoint in good] == ["10.0.0.5:1", "10.0.0.6:2", "10.0.0.7:3"]
    assert ["'nonsense'" in str(faults[0]), "'[::1]:0'" in str(faults[1])] == [True, True]


def test_a_duplicate_is_a_fault_however_it_is_written() -> None:
    """Two spellings of one address are one address."""
    good, faults = read(["[::1]:5, [0:0:0:0:0:0:0:1]:5"])
    assert good == (Endpoint("::1", 5),)
    assert [str(fault) for fault in faults] == ["'[0:0:0:0:0:0:0:1]:5' is listed twice, first as '[::1]:5': remove one"]


def test_nothing_listed_is_no_fault() -> None:
    """An empty list, an empty variable and stray commas mean nobody."""
    assert read([]) == read([""]) == read([" , ,"]) == ((), ())


@pytest.mark.parametrize("endpoint", [Endpoint("10.0.0.5", 1), Endpoint("fd00::5", 2), Endpoint("a.lan", 3)])
def test_uris_lead_back(endpoint: Endpoint) -> None:
    """An address made from an endpoint leads to that endpoint."""
    assert from_uri(to_uri(endpoint)) == endpoint


@pytest.mark.parametrize("address", ["p2p://12D3", "10.0.0.5:1", "tcp:10.0.0.5:1", ""])
def test_other_schemes_are_refused(address: str) -> None:
    """What is not tcp is not guessed at."""
    with pytest.raises(ConfigError, match="is not an address of this transport"):
        from_uri(address)


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text raises anything but our own error, and what is read can be written and read again."""
    try:
        endpoint = parse(text)
    except ConfigError:
        return
    assert parse(str(endpoint)) == endpoint


def test_knows_loopback_and_wildcards() -> None:
    """What only this machine can dial, and what nobody can, is told apart from the rest."""
    assert all(map(is_loopback, ["127.0.0.1", "127.9.9.9", "::1", "localhost", "LocalHost."]))
    assert not any(map(is_loopback, ["10.0.0.1", "0.0.0.0", "example.lan", "fd00::1"]))  # noqa: S104 -- not bound
    assert is_wildcard("0.0.0.0")  # noqa: S104 -- not bound
    assert is_wildcard("::")
    assert not is_wildcard("localhost")
