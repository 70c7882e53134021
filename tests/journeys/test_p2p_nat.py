from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from nat import MIDDLE, Homes, homes, why_not
from swarm_members import members

pytestmark = [pytest.mark.journey, pytest.mark.swarm]
_NODE = Path(__file__).parent.parent / "support" / "programs" / "libp2p_node.py"
_WHY_NOT = why_not()


@contextmanager
def a_node(nets: Homes, host: str, number: int, folder: Path, bootstrap: str) -> Generator[subprocess.Popen[str]]:
    """Hold a node running on *host*."""
    command = [*nets.prefix(host), sys.executable, str(_NODE), str(number), str(folder / str(number)), bootstrap]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as node:
        try:
            yield node
        finally:
            node.kill()


def told(node: subprocess.Popen[str], fact: str) -> Any:
    """Return *fact* as soon as the node tells it; its other lines, the log's, are passed over."""
    assert node.stdout is not None
    for line in node.stdout:
        if line.startswith("{") and fact in (facts := json.loads(line)):
            return facts[fact]
    raise AssertionError(f"the node ended before it told {fact}")


@pytest.mark.skipif(bool(_WHY_NOT), reason=_WHY_NOT)
@pytest.mark.timeout(180)
def test_two_homes_meet_through_a_relay(tmp_path: Path) -> None:
    """Behind two NATs, of which neither lets anybody in, gossip and tunnels go through a member that both can dial.

    When the cable is out, and nobody says so, the relay is known to be gone within five seconds.
    """
    bootstrap = f"/ip4/{MIDDLE}/tcp/4001"
    with homes() as nets, ExitStack() as stack:
        middle = stack.enter_context(a_node(nets, "middle", 0, tmp_path, ""))
        assert told(middle, "addresses")
        two = stack.enter_context(a_node(nets, "home2", 2, tmp_path, bootstrap))
        assert "192.168.1.3" in told(two, "addresses")[0]
        one = stack.enter_context(a_node(nets, "home1", 1, tmp_path, bootstrap))
        assert told(one, "echoed")
        assert told(one, "way") == "relayed"
        cut = time.monotonic()
        nets.cut("home1")
        assert told(one, "lost") - cut < 5.5


@pytest.mark.skipif(bool(_WHY_NOT), reason=_WHY_NOT)
@pytest.mark.timeout(180)
def test_a_relay_that_comes_later_and_goes_is_found_again(tmp_path: Path) -> None:
    """Two homes that were up before any relay meet when it comes, and meet again when it was killed and came back.

    Nobody posts an offer anew for that: who finds no direct way asks the relays of now, and a relay that begins anew
    is asked at once for a new reservation.
    """
    bootstrap = f"/ip4/{MIDDLE}/tcp/4001"
    with homes() as nets, ExitStack() as stack:
        two = stack.enter_context(a_node(nets, "home2", 2, tmp_path, bootstrap))
        one = stack.enter_context(a_node(nets, "home1", 1, tmp_path, bootstrap))
        assert told(two, "addresses")
        assert told(one, "addresses")
        with a_node(nets, "middle", 0, tmp_path, ""):
            assert told(one, "echoed")
            assert told(one, "way") == "relayed"
        assert told(one, "lost")
        stack.enter_context(a_node(nets, "middle", 0, tmp_path, ""))
        assert told(one, "again")


@pytest.mark.skipif(bool(_WHY_NOT), reason=_WHY_NOT)
@pytest.mark.timeout(180)
def test_two_homes_dial_each_other_at_the_same_moment(tmp_path: Path) -> None:
    """What begins through the relay becomes a direct way between NATs that let nobody in, and outlives the relay."""
    bootstrap = f"/ip4/{MIDDLE}/tcp/4001"
    with homes(internet=True) as nets, ExitStack() as stack:
        with a_node(nets, "middle", 0, tmp_path, "") as middle:
            assert told(middle, "addresses")
            two = stack.enter_context(a_node(nets, "home2", 2, tmp_path, bootstrap))
            assert told(two, "addresses")
            one = stack.enter_context(a_node(nets, "home1", 1, tmp_path, bootstrap))
            assert told(one, "echoed")
            assert told(one, "direct")
        assert told(one, "lost")
        assert told(one, "again")


@pytest.mark.skipif(bool(_WHY_NOT), reason=_WHY_NOT)
@pytest.mark.timeout(240)
def test_gateway_status_shows_how_a_way_becomes_direct(tmp_path: Path) -> None:
    """Of a gateway behind another NAT it says first that bytes are relayed, then that they go directly."""
    seen: list[str] = []

    def parts(*bootstrap: str) -> list[tuple[str, dict[str, Any]]]:
        host = {"listen_maddrs": ["/ip4/0.0.0.0/tcp/4001"], "bootstrap_peers": list(bootstrap), "relay": not bootstrap}
        slots = ("[[transport]]", "p2p"), ("[ledger]", "gossip"), ("[[discovery]]", "dht")
        return [(head, {"use": use, **host}) for head, use in slots]

    def is_direct(said: Any) -> bool:
        status = [str(Path(sys.executable).with_name("gateway")), "status"]
        command = [*swarm.site("home1").prefix, *status]
        shown = subprocess.run(command, cwd=tmp_path / "home1", capture_output=True, text=True, check=True).stdout
        seen.extend(line for line in shown.splitlines() if line.startswith("home2 "))
        return bool(seen) and "p2p, direct" in seen[-1]

    with homes(internet=True) as nets, members(tmp_path, nets) as swarm:
        echo = [{"use": "echo"}]
        swarm.gateway("middle", parts=parts(), backends=echo, federated=True)
        known = f"/ip4/{MIDDLE}/tcp/4001/p2p/{swarm.get('middle', '/v1/swarm')['gateway']['id']}"
        for home in ("home2", "home1"):
            swarm.gateway(home, parts=parts(known), backends=echo, federated=True)
        swarm.until("home1", is_direct)
    assert any("p2p, relayed" in line for line in seen), seen
