"""Where the gateway listens, and what answers there already."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from swarmgate.checks import Ailment, Check, Finding, Patient
from swarmgate.doctor.case import Case
from swarmgate.errors import ConfigError
from swarmgate.listening import listen, only_here

PORT_TAKEN = Ailment(
    code="address.unusable",
    meaning="The gateway cannot listen at its address: something else does, the port is the administrator's, or this"
    " machine has no such address.",
    remedy="Stop what listens there (`ss -ltnp` shows it), or choose another with `--listen HOST:PORT`.",
)
NO_KEYS = Ailment(
    code="address.open",
    meaning="Whoever reaches the gateway over the network may ask it everything: it listens beyond this machine, and"
    " there are no API keys.",
    remedy="Set `api_key_file` in `[gateway]`, or listen on 127.0.0.1, if the network is not yours alone.",
)
BARRED = Ailment(
    code="address.barred",
    meaning="A gateway answers at the configured address, and lets none of the keys in that are configured here.",
    remedy="Run the doctor with the configuration of the gateway that runs (`--config`), or add one of its keys.",
)


def checks(case: Case) -> list[Check]:
    """Return the check of the address."""
    return [Check("address", "where the gateway listens", (PORT_TAKEN, NO_KEYS, BARRED), partial(_address, case))]


async def _address(case: Case, _: Patient) -> Sequence[Finding]:
    settings = case.blueprint.settings
    if case.barred:
        return [BARRED.found(case.barred)]
    if case.running is not None:
        gateway = case.running.swarm.gateway
        return [Finding(what=f"the gateway {gateway.name!r} {gateway.version} runs", about=case.running.url)]
    try:
        sockets = await listen(settings.listen)
    except ConfigError as error:
        return [PORT_TAKEN.found(str(error), about=settings.listen)]
    local = only_here(sockets)
    for each in sockets:
        each.close()
    if not local and not settings.api_keys:
        return [NO_KEYS.noted("would listen beyond this machine, without API keys", about=settings.listen)]
    return [Finding(what="is free; no gateway runs", about=settings.listen)]
