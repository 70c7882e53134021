"""The hooks: the whole plugin surface.

Each hook is called once, when the command starts, on every installed plugin, and returns the parts
that plugin offers for one slot.  None does I/O and none is asynchronous: what must be awaited
belongs into a part's *open*.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

from swarmgate.checks import Check
from swarmgate.contracts import Backend, Balancer, Discovery, Ledger, Lender, Probe, Splitter, Transport
from swarmgate.parts import Part

if TYPE_CHECKING:
    import click

PROJECT = "swarmgate"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def swarmgate_transport() -> list[Part[Any, Transport]]:
    """Offer ways to reach other nodes.  Any number is used, told apart by scheme."""
    return []


@hookspec
def swarmgate_ledger() -> list[Part[Any, Ledger]]:
    """Offer books of standing offers.  Exactly one is used."""
    return []


@hookspec
def swarmgate_discovery() -> list[Part[Any, Discovery]]:
    """Offer ways to hear of other nodes.  Any number is used."""
    return []


@hookspec
def swarmgate_probe() -> list[Part[Any, Probe]]:
    """Offer ways to ask nodes what they have to give.  Any number is used, one for each service."""
    return []


@hookspec
def swarmgate_balancer() -> list[Part[Any, Balancer]]:
    """Offer ways to choose among candidates.  Exactly one is used."""
    return []


@hookspec
def swarmgate_splitter() -> list[Part[Any, Splitter]]:
    """Offer ways to divide a model among machines.  Exactly one is used."""
    return []


@hookspec
def swarmgate_backend() -> list[Part[Any, Backend]]:
    """Offer engines that answer requests.  Any number is used."""
    return []


@hookspec
def swarmgate_worker() -> list[Part[Any, Lender]]:
    """Offer ways to lend this machine's compute.  ``gateway worker NAME`` opens one."""
    return []


@hookspec
def swarmgate_checks() -> list[Check]:
    """Offer checks for ``gateway doctor`` to make; called only by it."""
    return []


@hookspec
def swarmgate_commands() -> list[click.Command]:
    """Offer commands to stand beside ``gateway run``; called only when the command line needs them."""
    return []
