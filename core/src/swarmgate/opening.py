"""Opens single parts, finds out which is for what, and keeps discoveries at work."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack

from swarmgate.config.choices import Choice
from swarmgate.contracts import Discovery, Ledger, Probe, Transport
from swarmgate.errors import ConfigError, PluginError, SwarmgateError
from swarmgate.nouns import Service
from swarmgate.parts import PartContext


async def open_part(choice: Choice, context: PartContext, stack: AsyncExitStack) -> object:
    """Open what *choice* says, for as long as *stack* is.

    Raises:
        PluginError: it could not be opened, or is not what its slot asks.

    """
    slot, part = choice.slot, choice.part
    try:
        thing = await stack.enter_async_context(part.open(choice.options, context))
    except SwarmgateError:
        raise
    except Exception as error:
        raise PluginError(f"{slot.name} {part.name!r} could not be opened: {type(error).__name__}: {error}") from error
    if not isinstance(thing, slot.contract):
        lacks = ", ".join(name for name in vars(slot.contract) if name[0] != "_" and not hasattr(thing, name))
        raise PluginError(
            f"{slot.name} {part.name!r} opened a {type(thing).__name__},"
            f" which lacks what {slot.contract.__name__} asks: {lacks}"
        )
    return thing


def schemes(transports: Mapping[str, Transport]) -> dict[str, Transport]:
    """Return *transports* by the scheme of the addresses each understands, in the same order.

    Raises:
        ConfigError: two understand the same.

    """
    found: dict[str, Transport] = {}
    for name, transport in transports.items():
        if transport.scheme in found:
            raise ConfigError(f"two transports understand {transport.scheme}:// addresses, {name!r} is one; remove one")
        found[transport.scheme] = transport
    return found


def services(probes: Mapping[str, Probe]) -> dict[Service, Probe]:
    """Return *probes* by the service each looks into.

    Raises:
        ConfigError: two look into the same.

    """
    found: dict[Service, Probe] = {}
    for name, probe in probes.items():
        if probe.service in found:
            raise ConfigError(f"two probes look into the service {probe.service!r}, {name!r} is one; remove one")
        found[probe.service] = probe
    return found


async def discover(name: str, discovery: Discovery, ledger: Ledger) -> None:
    """Have the part called *name* keep *ledger* supplied, until cancelled.

    Raises:
        PluginError: it failed.

    """
    try:
        await discovery.run(ledger)
    except SwarmgateError:
        raise
    except Exception as error:
        raise PluginError(f"discovery {name!r} failed: {type(error).__name__}: {error}") from error
