"""What ``gateway doctor`` asks of libp2p: whether its child starts, ports are free, bootstrap peers there."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterable, Sequence

import anyio
from swarmgate.api import Ailment, Check, Finding, Patient, WireError

from swarmgate_transport_libp2p.addresses import with_peer
from swarmgate_transport_libp2p.options import HostOptions

_COMMAND = (sys.executable, "-c", "import swarmgate_transport_libp2p.child.node")
_TCP = re.compile(r"/(ip4|ip6|dns|dns4|dns6)/([^/]+)/tcp/(\d{1,5})(?:/|\Z)")
_DIAL_SECONDS = 4.0
_LONGEST = 300

BROKEN = Ailment(
    code="libp2p.broken",
    meaning="The process that carries libp2p cannot be started: py-libp2p is not installed, of another release than"
    " the plugin is made for, or lacks something.",
    remedy="`make setup` installs what is pinned.  Without libp2p, members are found by multicast DNS and reached by"
    " TLS.",
)
PORT_TAKEN = Ailment(
    code="libp2p.port_taken",
    meaning="libp2p is to listen at an address (`listen_maddrs`) where something else listens, or that is not this"
    " machine's.",
    remedy="Stop what listens there, or choose another port; unset, libp2p takes a free one and keeps it.",
)
UNREADABLE = Ailment(
    code="libp2p.bootstrap_unreadable",
    meaning="A bootstrap peer is not given as a multiaddress that ends with `/p2p/` and the peer's id.",
    remedy="The member's log has it at its start, whole: `p2p.listening addresses=…`.",
)
UNREACHABLE = Ailment(
    code="libp2p.bootstrap_unreachable",
    meaning="Nobody accepts connections at the address of a bootstrap peer.",
    remedy="Does that member run?  Has its address or port changed (give it fixed `listen_maddrs`)?  Behind a NAT, is"
    " the port forwarded?",
)


async def _examine(patient: Patient) -> Sequence[Finding]:
    chosen = [each for several in patient.options.values() for each in several if isinstance(each, HostOptions)]
    membership = patient.context.membership
    bootstrap = [text for each in chosen for text in each.bootstrap_peers]
    bootstrap += membership.bootstrap if membership is not None else ()
    findings = [await started(_COMMAND)]
    if not patient.running:
        findings += [each for options in chosen[:1] for each in listening(options.listen_maddrs)]
    return [*findings, *await bootstrapped(dict.fromkeys(bootstrap))]


LIBP2P = Check(
    name="libp2p",
    summary="the way across networks, libp2p",
    ailments=(BROKEN, PORT_TAKEN, UNREADABLE, UNREACHABLE),
    examine=_examine,
    parts=frozenset({"transport/p2p", "ledger/gossip", "discovery/dht"}),
)


async def started(command: Sequence[str]) -> Finding:
    """Return whether *command*, which imports what the child does, ends well."""
    done = await anyio.run_process(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if not done.returncode:
        return Finding(what="its process can be started")
    lines = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    return BROKEN.found(f"its process cannot be started: {lines[-1].strip()[:_LONGEST] if lines else done.returncode}")


def listening(maddrs: Iterable[str]) -> list[Finding]:
    """Return what hinders libp2p from listening at *maddrs*; of those without a fixed TCP port nothing can be said."""
    findings: list[Finding] = []
    for maddr in maddrs:
        match = _TCP.match(maddr)
        if match is None or not int(match[3]) or not match[1].startswith("ip"):
            continue
        with socket.socket(socket.AF_INET6 if match[1] == "ip6" else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((match[2], int(match[3])))
                findings.append(Finding(what="is free", about=maddr))
            except (OSError, OverflowError) as error:
                findings.append(PORT_TAKEN.found(getattr(error, "strerror", None) or str(error), about=maddr))
    return findings


async def bootstrapped(texts: Iterable[str]) -> list[Finding]:
    """Return who of the bootstrap peers *texts* accepts connections; where one does, the others are notes."""
    findings: list[Finding] = []
    for text in texts:
        try:
            _, where = with_peer(text)
        except WireError as error:
            findings.append(UNREADABLE.found(str(error)))
            continue
        match = _TCP.match(where)
        if match is None:
            findings.append(Finding(what="has no TCP address of its own to be dialled at", about=where, level="note"))
        elif await _accepts(match[2], int(match[3])):
            findings.append(Finding(what="accepts connections", about=where))
        else:
            findings.append(UNREACHABLE.found(f"did not accept a connection within {_DIAL_SECONDS:g} s", about=where))
    if not any(each.level == "fine" for each in findings):
        return findings
    noted = {each: UNREACHABLE.noted(each.what, about=each.about) for each in findings if each.code == UNREACHABLE.code}
    return [noted.get(each, each) for each in findings]


async def _accepts(host: str, port: int) -> bool:
    try:
        with anyio.fail_after(_DIAL_SECONDS):
            stream = await anyio.connect_tcp(host, port)
    except (OSError, OverflowError, TimeoutError):
        return False
    await stream.aclose()
    return True
