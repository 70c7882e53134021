"""What ``gateway doctor`` asks of multicast DNS: sockets, whether multicast arrives, and who else announces."""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import time
from collections.abc import Sequence
from contextlib import ExitStack, aclosing

import anyio
import anyio.to_thread
from swarmgate.api import Ailment, Check, Finding, Membership, Patient, Replica, WireError

from swarmgate_discovery_mdns import MdnsOptions

#: Multicast DNS (RFC 6762, 5): the groups of IPv4 and IPv6, and the port.
_GROUP, _GROUP6, _PORT = "224.0.0.251", "ff02::fb", 5353
#: A question for nobody: header with one question; PTR, class IN.
_QUESTION = (
    b"\0\0\0\0\0\1\0\0\0\0\0\0"
    + b"".join(bytes((len(each),)) + each for each in (b"_swarmgate-doctor", b"_tcp", b"local"))
) + b"\0\0\x0c\0\1"
_ECHO_SECONDS = 1.0
#: How long others are listened to, in seconds: who is asked answers within half a second.
_LISTEN_SECONDS = 3.0

NO_SOCKET = Ailment(
    code="multicast.no_socket",
    meaning="No socket for multicast DNS can be opened on an address of this machine.",
    remedy="Does another program keep port 5353 for itself (`ss -lunp | grep 5353`)?  Is the address of `interfaces`"
    " one of this machine's?",
)
NOT_RECEIVED = Ailment(
    code="multicast.not_received",
    meaning="What is sent to the multicast group does not even come back to this machine: members on this network"
    " cannot find each other so.",
    remedy="Let UDP port 5353 through the firewall.  In a container use the host's network (`--network host`).  On"
    " WSL 2 and some Wi-Fi access points multicast does not pass: name members with `bootstrap_peers`.",
)
OTHER_SWARM = Ailment(
    code="multicast.other_swarm",
    meaning="Somebody on this network announces a swarm of another token, and nobody announces this machine's.",
    remedy="`gateway token read` shows the swarm's id on both machines; if they differ, bring the token of one to the"
    " other: `gateway token show > swarm.token`, `--token-file swarm.token`.",
)


async def _examine(patient: Patient) -> Sequence[Finding]:
    from swarmgate_discovery_mdns.network import interfaces_here

    options = next((each for each in patient.options["discovery/mdns"] if isinstance(each, MdnsOptions)), MdnsOptions())
    addresses = tuple(options.interfaces) or interfaces_here()
    if not addresses:
        return [NO_SOCKET.found("this machine has no network address")]
    findings = [await anyio.to_thread.run_sync(echo, address) for address in addresses]
    if patient.context.membership is not None and not all(each.level == "fault" for each in findings):
        findings += await _heard(addresses, patient.context.membership)
    return findings


MULTICAST = Check(
    name="multicast",
    summary="finding members on one network, by multicast DNS",
    ailments=(NO_SOCKET, NOT_RECEIVED, OTHER_SWARM),
    examine=_examine,
    parts=frozenset({"discovery/mdns"}),
)


def echo(address: str, *, group: str = "", port: int = _PORT, seconds: float = _ECHO_SECONDS) -> Finding:
    """Send a question by the interface with *address*, and see whether a second socket receives it.  Blocks.

    It goes to multicast DNS's *group* of that address's family, unless another is given.
    """
    about = f"interface {address}"
    group = group or (_GROUP6 if ":" in address else _GROUP)
    opened = _of_ipv6 if ":" in address else _of_ipv4
    try:
        receiver, sender = opened(address, group, port)
        with receiver, sender:
            sent_from = sender.getsockname()
            sender.sendto(_QUESTION, (group, port))
            end = time.monotonic() + seconds
            while (left := end - time.monotonic()) > 0 and select.select([receiver], [], [], left)[0]:
                data, source = receiver.recvfrom(9000)
                if data == _QUESTION and source[1] == sent_from[1]:
                    return Finding(what="what is sent to the group arrives at a second socket", about=about)
    except OSError as error:
        return NO_SOCKET.found(error.strerror or str(error), about=about)
    return NOT_RECEIVED.found(f"what was sent to {group} has not arrived within {seconds:g} s", about=about)


def _of_ipv4(address: str, group: str, port: int) -> tuple[socket.socket, socket.socket]:
    """Return a socket that is in *group* by the interface with *address*, and one that sends to it by that."""
    with ExitStack() as stack:
        receiver, sender = (stack.enter_context(_shared(socket.AF_INET)) for _ in range(2))
        receiver.bind((group, port))
        membership = struct.pack("4s4s", socket.inet_aton(group), socket.inet_aton(address))
        receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
        sender.bind((address, 0))
        stack.pop_all()
    return receiver, sender


def _of_ipv6(address: str, group: str, port: int) -> tuple[socket.socket, socket.socket]:
    """Return the same as :func:`_of_ipv4` of IPv6, whose groups are joined by the number of an interface."""
    index = _index_of(address)
    with ExitStack() as stack:
        receiver, sender = (stack.enter_context(_shared(socket.AF_INET6)) for _ in range(2))
        receiver.bind((group, port, 0, index))
        membership = struct.pack("@16sI", socket.inet_pton(socket.AF_INET6, group), index)
        receiver.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, membership)
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 1)
        sender.bind((address, 0))
        stack.pop_all()
    return receiver, sender


def _shared(family: socket.AddressFamily) -> socket.socket:
    """Return a socket whose port others on this machine may have, too."""
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "SO_REUSEPORT"):
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    return made


def _index_of(address: str) -> int:
    """Return the number of the interface with the IPv6 *address*.

    Raises:
        OSError: there is none.

    """
    import ifaddr

    for adapter in ifaddr.get_adapters():
        if any(each.is_IPv6 and each.ip[0] == address for each in adapter.ips):
            return adapter.index or 0
    raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))


async def _heard(addresses: Sequence[str], membership: Membership) -> list[Finding]:
    from swarmgate_discovery_mdns.network import Network

    texts: list[bytes] = []
    try:
        async with Network.opened(addresses) as network, aclosing(network.heard()) as records:
            with anyio.move_on_after(_LISTEN_SECONDS):
                async for text in records:
                    texts.append(text)  # noqa: PERF401  # what was heard until then counts
    except OSError as error:
        return [NO_SOCKET.found(error.strerror or str(error))]
    return announced(texts, membership)


def announced(texts: Sequence[bytes], membership: Membership) -> list[Finding]:
    """Return what is to be said of the TXT records *texts* that were heard on this network."""
    from swarmgate_discovery_mdns.txt import from_txt

    replica, ours, foreign = Replica(membership), 0, 0
    for text in texts:
        try:
            message = from_txt(text)
        except WireError:
            continue  # another version's, or something else altogether
        before = replica.counts["unreadable"]
        replica.receive(message, 0.0, direct=True)
        unreadable = replica.counts["unreadable"] > before
        ours, foreign = ours + (not unreadable), foreign + unreadable
    about = "announcements"
    if foreign and not ours:
        return [OTHER_SWARM.found(f"{foreign} heard, all of them of another swarm's token", about=about)]
    others = f", and {foreign} of other swarms" if foreign else ""
    return [Finding(what=f"{ours or 'none'} of this swarm heard within {_LISTEN_SECONDS:g} s{others}", about=about)]
