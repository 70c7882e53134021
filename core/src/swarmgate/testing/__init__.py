"""Contracts that anybody's parts can be run through, and fakes to build tests from.

Subclass a contract, say how to make one, and pytest does the rest::

    from swarmgate.testing import BalancerContract

    class TestSticky(BalancerContract):
        def make(self):
            return Sticky()

Needs the extra ``swarmgate-core[testing]``.  Asynchronous checks carry ``pytest.mark.anyio``: a
fixture ``anyio_backend`` in your own ``conftest.py`` says on which loops they run.  Where a part
rightly lacks an ability, a class attribute of the contract says so (``resumes = False``).
"""

from __future__ import annotations

from pkgutil import iter_modules

import pytest

# Before the imports: files of a library are not rewritten by themselves, and bare asserts say nothing.
pytest.register_assert_rewrite(*(f"{__name__}.{room.name}" for room in iter_modules(__path__)))

from swarmgate.testing.backend import BackendContract  # noqa: E402 -- after the rewriting is arranged
from swarmgate.testing.balancer import BalancerContract  # noqa: E402 -- likewise
from swarmgate.testing.discovery import DiscoveryContract  # noqa: E402 -- likewise
from swarmgate.testing.fakes import FakeClock, FakeProbe, FakeTransport, ScriptedBackend  # noqa: E402 -- likewise
from swarmgate.testing.ledger import LedgerContract  # noqa: E402 -- likewise
from swarmgate.testing.lender import LenderContract  # noqa: E402 -- likewise
from swarmgate.testing.makers import (  # noqa: E402 -- likewise
    a_candidate,
    a_card,
    a_context,
    a_demand,
    a_node,
    a_request,
    a_swarm,
    a_worker,
    an_embed_request,
    an_offer,
)
from swarmgate.testing.plugin import PluginContract  # noqa: E402 -- likewise
from swarmgate.testing.probe import ProbeContract  # noqa: E402 -- likewise
from swarmgate.testing.splitter import SplitterContract  # noqa: E402 -- likewise
from swarmgate.testing.transport import TransportContract  # noqa: E402 -- likewise

__all__ = [
    "BackendContract",
    "BalancerContract",
    "DiscoveryContract",
    "FakeClock",
    "FakeProbe",
    "FakeTransport",
    "LedgerContract",
    "LenderContract",
    "PluginContract",
    "ProbeContract",
    "ScriptedBackend",
    "SplitterContract",
    "TransportContract",
    "a_candidate",
    "a_card",
    "a_context",
    "a_demand",
    "a_node",
    "a_request",
    "a_swarm",
    "a_worker",
    "an_embed_request",
    "an_offer",
]
