from __future__ import annotations

import msgspec
import pytest
from swarmgate.http.wire.members import peer_document, worker_document
from swarmgate.nouns import GATEWAY, Endpoint, Way
from swarmgate.roster import Member
from swarmgate.testing import an_offer


def test_a_worker_is_told_with_all_it_says() -> None:
    """Numbers are numbers, devices a list, and how long until the next try is rounded."""
    labels = {
        "memory_bytes": "5",
        "memory_total_bytes": "8",
        "devices": "CUDA0, CPU",
        "rpc_version": "3.6.0",
        "cores": "4",
        "version": "0.1.0",
        "leased_by": "home",
    }
    member = Member(offer=an_offer("w1"), standing="usable", endpoint=Endpoint("fd00::5", 1), labels=labels, model="m")
    assert msgspec.to_builtins(worker_document(member)) == {
        "name": "w1",
        "node": "node-w1",
        "service": "llama-rpc",
        "addresses": ["tcp://127.0.0.1:1"],
        "state": "usable",
        "endpoint": "[fd00::5]:1",
        "memory_bytes": 5,
        "memory_total_bytes": 8,
        "devices": ["CUDA0", "CPU"],
        "rpc_version": "3.6.0",
        "cores": 4,
        "version": "0.1.0",
        "leased_by": "home",
        "model": "m",
    }
    left_out = Member(offer=an_offer("w2"), standing="left_out", reason="gone", retry_seconds=2.04)
    assert (worker_document(left_out).reason, worker_document(left_out).retry_seconds) == ("gone", 2.0)


@pytest.mark.parametrize("label", ["", "many", "-1", "1.5", "²", "9" * 5000])
def test_what_is_no_number_is_left_out(label: str) -> None:
    """Labels are others' words: nonsense in them spoils no answer."""
    member = Member(offer=an_offer(), labels={"memory_bytes": label, "secret": "s3", "leased_by": ""})
    found = msgspec.to_builtins(worker_document(member))
    assert found.keys() == {"name", "node", "service", "addresses", "state"}


def test_members_tell_how_they_were_found_and_which_way_bytes_go() -> None:
    """Of workers and gateways alike; what is not known is left out, and nothing that is between two members is told."""
    way = Way(address="p2p://x/llama-rpc", kind="relayed", rtt_seconds=0.01234567, reason="behind a NAT")
    worker = Member(offer=an_offer("w1"), standing="usable", address=way.address, way=way, found=("mdns", "dht"))
    labels = {"models": "a, b", "role": "node", "version": "0.1", "run": "secret enough"}
    there = an_offer("g1", service=GATEWAY, labels=labels)
    gateway = Member(offer=there, labels=labels, standing="left_out", reason="silent", retry_seconds=1.26)
    found = msgspec.to_builtins(worker_document(worker))
    assert found["found"] == ["mdns", "dht"]
    assert found["way"] == {
        "address": "p2p://x/llama-rpc",
        "kind": "relayed",
        "rtt_seconds": 0.012346,
        "reason": "behind a NAT",
    }
    assert msgspec.to_builtins(peer_document(gateway)) == {
        "name": "g1",
        "node": "node-g1",
        "service": "gateway",
        "addresses": ["tcp://127.0.0.1:1"],
        "state": "left_out",
        "reason": "silent",
        "retry_seconds": 1.3,
        "version": "0.1",
        "models": ["a", "b"],
        "role": "node",
    }
    reached = msgspec.to_builtins(peer_document(Member(offer=there, address="fake://y")))
    assert reached["way"] == {"address": "fake://y", "network": "lan"}


def test_when_one_was_last_seen_is_told() -> None:
    """Not at all of one that never was usable."""
    seen = [None, 0.0, 12.345]
    told = [worker_document(Member(offer=an_offer(), seen_seconds=seconds)).seen_seconds for seconds in seen]
    assert told == [msgspec.UNSET, 0.0, 12.3]
