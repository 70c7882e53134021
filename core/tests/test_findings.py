from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from swarmgate.contracts import Ledger
from swarmgate.findings import Findings, Signed
from swarmgate.ledger import MemoryLedger
from swarmgate.nouns import LLAMA_RPC
from swarmgate.testing import LedgerContract, an_offer

pytestmark = pytest.mark.anyio


class TestSigned(LedgerContract):
    """A ledger that notes who writes does all that a ledger does."""

    @asynccontextmanager
    async def make(self) -> AsyncGenerator[Ledger]:
        yield Signed(MemoryLedger(), Findings(), "static")


async def test_one_offer_may_be_found_in_several_ways() -> None:
    """It is one offer, and each of its finders is told, once, until it sees it no more."""
    ledger, findings = MemoryLedger(), Findings()
    mdns, dht = (Signed(ledger, findings, name) for name in ("mdns", "dht"))
    assert findings.of(an_offer()) == ()
    await mdns.post(an_offer(sequence=1))
    await dht.post(an_offer(sequence=2))
    await mdns.post(an_offer(sequence=3))
    assert findings.of(an_offer()) == ("mdns", "dht")
    assert [offer.sequence for offer in dht.offers(LLAMA_RPC)] == [3]
    await mdns.withdraw(an_offer(sequence=1))
    assert findings.of(an_offer()) == ("dht",)
    await dht.withdraw(an_offer(sequence=3))
    assert findings.of(an_offer()) == ()
    assert ledger.offers(LLAMA_RPC) == ()
    assert repr(mdns) == "<<MemoryLedger 0 offers> as mdns writes it>"


def test_what_is_remembered_is_bounded() -> None:
    """The offers noted longest ago are forgotten."""
    findings = Findings()
    for number in range(5000):
        findings.note("dht", an_offer(f"w{number}"))
    assert repr(findings) == "<Findings of 4096 offers>"
    assert findings.of(an_offer("w0")) == ()
    assert findings.of(an_offer("w4999")) == ("dht",)
    findings.forget("dht", an_offer("w0"))
