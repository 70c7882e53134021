"""What ``gateway doctor`` asks of the fixed lists: whether each entry can be read."""

from __future__ import annotations

from collections.abc import Sequence

import anyio.lowlevel
from swarmgate.api import Ailment, Check, Finding, Patient

from swarmgate_transport_static import StaticOptions
from swarmgate_transport_static.addresses import read

UNREADABLE = Ailment(
    code="lists.unreadable",
    meaning="An entry of a fixed list (`LLAMACPP_GRPC_SERVERS`, `workers` or `nodes` of the discovery `static`) is no"
    " address, or stands there twice: it is left out, and the others are used.",
    remedy="Write each as host:port, once: `10.0.0.5:50052`, `worker.lan:50052`, `[fd00::5]:50052`.",
)


async def _examine(patient: Patient) -> Sequence[Finding]:
    await anyio.lowlevel.checkpoint()
    listed = [each for each in patient.options["discovery/static"] if isinstance(each, StaticOptions)]
    return [finding for options in listed for finding in of_lists(options)]


LISTS = Check(
    name="lists",
    summary="the fixed lists of workers and nodes",
    ailments=(UNREADABLE,),
    examine=_examine,
    parts=frozenset({"discovery/static"}),
)


def of_lists(options: StaticOptions) -> list[Finding]:
    """Return what is to be said of the lists of *options*: each bad entry, or how many good ones there are."""
    findings: list[Finding] = []
    for option, entries in (("workers", options.workers), ("nodes", options.nodes)):
        endpoints, faults = read(entries)
        findings += [UNREADABLE.found(str(fault), about=option) for fault in faults]
        if endpoints and not faults:
            findings.append(Finding(what=", ".join(map(str, endpoints)), about=option))
    return findings or [Finding(what="nobody is listed")]
