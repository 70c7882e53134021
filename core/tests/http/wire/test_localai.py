from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from swarmgate.http.wire.localai import federated_nodes, p2p_nodes, p2p_stats, worker_nodes
from swarmgate.nouns import GATEWAY, Endpoint
from swarmgate.roster import Member, Swarm
from swarmgate.testing import an_offer

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
SWARM = Swarm(
    members=(
        Member(offer=an_offer("shed"), standing="usable", endpoint=Endpoint("127.0.0.1", 4711), seen_seconds=0.0),
        Member(offer=an_offer("attic"), standing="left_out", reason="is off", seen_seconds=90.0),
    ),
    gateways=(Member(offer=msgspec.structs.replace(an_offer("desk"), service=GATEWAY), standing="reaching"),),
)


def told(document: object) -> Any:
    return msgspec.json.decode(msgspec.json.encode(document))


def test_all_nodes_in_gos_names() -> None:
    """What one reads that LocalAI's own page reads; nobody is ever an MLX node."""
    found = told(p2p_nodes(SWARM, NOW))
    assert list(found) == ["llama_cpp_nodes", "federated_nodes", "mlx_nodes", "nodes"]
    shed, attic = found["llama_cpp_nodes"]
    offer = SWARM.members[0].offer
    assert shed == {
        "Name": "shed",
        "ID": offer.node,
        "TunnelAddress": "127.0.0.1:4711",
        "ServiceID": f"{offer.node}/{offer.service}/shed",
        "LastSeen": "2026-11-29T12:00:00Z",
    }
    assert (attic["TunnelAddress"], attic["LastSeen"]) == ("", "2026-11-29T11:58:30Z")
    [desk] = found["federated_nodes"]
    assert (desk["Name"], desk["LastSeen"]) == ("desk", "0001-01-01T00:00:00Z")
    assert (found["nodes"], found["mlx_nodes"]) == (found["llama_cpp_nodes"], [])


def test_workers_and_gateways_in_jsons() -> None:
    """Online is who can be used now; the older list of all stands beside the newer ones."""
    workers = told(worker_nodes(SWARM, NOW))
    assert [(each["name"], each["isOnline"]) for each in workers["llama_cpp"]["nodes"]] == [
        ("shed", True),
        ("attic", False),
    ]
    assert set(workers["nodes"][0]) == {"name", "id", "tunnelAddress", "serviceID", "lastSeen", "isOnline"}
    assert (workers["nodes"], workers["mlx"]) == (workers["llama_cpp"]["nodes"], {"nodes": []})
    assert [each["isOnline"] for each in told(federated_nodes(SWARM, NOW))["nodes"]] == [False]


def test_who_is_merely_announced_is_online() -> None:
    """Of many gateways a path is held to a few; the others are reached when they are asked."""
    far = Member(offer=msgspec.structs.replace(an_offer("far"), service=GATEWAY), standing="announced")
    assert [each["isOnline"] for each in told(federated_nodes(Swarm(gateways=(far,)), NOW))["nodes"]] == [True]


def test_how_many() -> None:
    """Of each kind those online, and all."""
    assert told(p2p_stats(SWARM)) == {
        "llama_cpp_workers": {"online": 1, "total": 2},
        "federated": {"online": 0, "total": 1},
        "mlx_workers": {"online": 0, "total": 0},
    }
