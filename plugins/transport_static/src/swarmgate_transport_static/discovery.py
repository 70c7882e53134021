"""Posts the fixed lists and keeps them standing."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import structlog
from swarmgate.api import GATEWAY, LLAMA_RPC, Endpoint, Ledger, NodeId, Offer, Service

from swarmgate_transport_static.addresses import UNPROTECTED, is_loopback, read, to_uri


class StaticDiscovery:
    """Offers what is listed, for as long as it runs; whether it can be reached, others find out.

    An entry that cannot be read is logged and left out, and the others stand.
    """

    def __init__(self, workers: Sequence[str], nodes: Sequence[str] = (), *, lifetime_seconds: float = 3600.0) -> None:
        self._lists = ((LLAMA_RPC, "workers", tuple(workers)), (GATEWAY, "nodes", tuple(nodes)))
        self._lifetime = lifetime_seconds

    def __repr__(self) -> str:
        return f"<StaticDiscovery of {sum(len(entries) for _, _, entries in self._lists)} entries>"

    async def run(self, ledger: Ledger) -> None:
        """Post every entry, and again after each third of their lifetime, until cancelled."""
        listed = self._read()
        while True:
            for service, endpoint in listed:
                await ledger.post(self._offer(ledger, service, endpoint))
            await anyio.sleep(self._lifetime / 3)

    def _read(self) -> list[tuple[Service, Endpoint]]:
        log = structlog.get_logger("swarmgate.transport_static")
        listed: list[tuple[Service, Endpoint]] = []
        for service, option, entries in self._lists:
            endpoints, faults = read(entries)
            for fault in faults:
                log.warning("discovery.entry_refused", part="static", option=option, reason=str(fault))
            far = [str(endpoint) for endpoint in endpoints if not is_loopback(endpoint.host)]
            if far:
                log.warning("discovery.unprotected", part="static", service=service, offer=far, reason=UNPROTECTED)
            listed += [(service, endpoint) for endpoint in endpoints]
        return listed

    def _offer(self, ledger: Ledger, service: Service, endpoint: Endpoint) -> Offer:
        node = NodeId(f"static:{endpoint}")
        # one more than what stands, so that a renewal replaces it in every kind of ledger
        held = (offer.sequence for offer in ledger.offers(service) if offer.node == node)
        return Offer(
            node=node,
            service=service,
            name=str(endpoint),
            addresses=(to_uri(endpoint),),
            sequence=max(held, default=0) + 1,
            lifetime=self._lifetime,
        )
