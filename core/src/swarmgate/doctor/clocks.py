"""Whether this machine's clock agrees with those of other gateways.

Members' certificates and invites end by the calendar, and logs of two machines are read side by side.  What a gateway's
clock says is in the ``Date`` of its answers (RFC 9110, 6.6.1), to the second.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from functools import partial
from http.client import HTTPConnection, HTTPException

import anyio.to_thread

from swarmgate.checks import Ailment, Check, Finding, Patient
from swarmgate.doctor.case import Case

#: From how many seconds on a difference is worth a word, and from how many on it does harm.
_NOTED, _HARMFUL = 5.0, 120.0
_SECONDS = 3.0
_MOST = 32

SKEWED = Ailment(
    code="clocks.skewed",
    meaning="Two machines' clocks differ.  Invites end early or late by as much; from a day on, members refuse each"
    " other's certificates.",
    remedy="Let both keep time by NTP: `timedatectl set-ntp true`.",
)


def checks(case: Case) -> list[Check]:
    """Return the check of the clocks."""
    return [Check("clocks", "clocks of other gateways", (SKEWED,), partial(_clocks, case))]


async def _clocks(case: Case, _: Patient) -> Sequence[Finding]:
    if case.running is None:
        return [Finding(what="are compared where a gateway runs here that reaches others")]
    reached = [peer for peer in case.running.swarm.gateways if isinstance(peer.endpoint, str)][:_MOST]
    findings: list[Finding] = []
    for peer in reached:
        ahead = await anyio.to_thread.run_sync(_ask, str(peer.endpoint))
        if ahead is not None:
            findings.append(judged(ahead, f"gateway {peer.name}"))
    return findings or [Finding(what="no other gateway is reached to compare with")]


def judged(ahead: float, about: str) -> Finding:
    """Return what is to be said of a clock that is *ahead* of this machine's by so many seconds."""
    if abs(ahead) < _NOTED:
        return Finding(what="agrees with this machine's", about=about)
    what = f"is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine's"
    return SKEWED.found(what, about=about) if abs(ahead) >= _HARMFUL else SKEWED.noted(what, about=about)


def ahead_by(date: str, asked: float, answered: float) -> float | None:
    """Return how many seconds the clock that wrote *date* is ahead, as near as its whole seconds allow.

    *asked* and *answered* are Unix seconds by this machine's clock; None is returned for what is no date.
    """
    try:
        theirs = parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
    earliest, latest = theirs - answered, theirs + 1 - asked
    return 0.0 if earliest <= 0 <= latest else earliest if earliest > 0 else latest


def _ask(endpoint: str) -> float | None:
    connection = HTTPConnection(endpoint, timeout=_SECONDS)
    asked = _calendar()
    try:
        connection.request("HEAD", "/livez")
        answer = connection.getresponse()
        return ahead_by(answer.getheader("Date", ""), asked, _calendar())
    except (HTTPException, OSError):
        return None
    finally:
        connection.close()


def _calendar() -> float:
    return time.time()  # noqa: TID251  # this is about the calendar
