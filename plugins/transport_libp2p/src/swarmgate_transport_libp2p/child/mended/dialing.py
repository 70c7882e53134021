"""Which addresses of a peer are tried, and in which order; pure."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import chain, zip_longest

from swarmgate_transport_libp2p.child.mended.announcing import ip_of, is_loopback, is_usable


def in_order(addresses: Iterable[str], most: int) -> list[str]:
    """Return up to *most* of *addresses*, in the order to try them.

    The order given is kept, but IPv4 and IPv6 take turns, so that a family without a route costs one place and not
    all; loopback comes last, since it is this machine's unless the peer is here too.  Relayed and unusable addresses
    are left out.
    """
    usable = [address for address in dict.fromkeys(addresses) if is_usable(address) and "/p2p-circuit" not in address]
    near = [address for address in usable if is_loopback(address)]
    far = [address for address in usable if not is_loopback(address)]
    six = [address for address in far if ":" in (ip_of(address) or "")]
    four = [address for address in far if address not in six]
    turns = [address for address in chain.from_iterable(zip_longest(four, six)) if address is not None]
    return [*turns, *near][:most]


def reason_of(fault: BaseException) -> str:
    """Return what is at the bottom of *fault*: libp2p wraps it several times, and says little in each wrapping."""
    while type(fault).__module__.startswith("libp2p.") and (below := fault.__cause__) is not None:
        fault = below
    # trio says that all attempts failed, and keeps to itself why each did
    match fault.__cause__:
        case BaseExceptionGroup(exceptions=(OSError(errno=int(number)), *_)):
            return os.strerror(number).lower()
        case _:
            pass
    return str(fault) or type(fault).__name__
