from __future__ import annotations

import pytest
from libp2p_nodes import until
from structlog.testing import capture_logs
from swarmgate.api import GATEWAY, LLAMA_RPC, Replica
from swarmgate.testing import an_offer
from swarmgate.testing.streams import an_echo
from swarmgate_transport_libp2p.child import headers
from swarmgate_transport_libp2p.child.dht import key_of
from swarmgate_transport_libp2p.transport import P2pTransport

pytestmark = [pytest.mark.clients, pytest.mark.journey, pytest.mark.swarm, pytest.mark.anyio]


async def test_smoke(ours, guest) -> None:
    """X."""
    import time
    t=time.time()
    print(await guest.meet(ours), time.time()-t)
    print(await guest.peer.peers())
