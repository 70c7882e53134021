"""When to dial whom again: everybody who was met is kept, with pauses that double.  Pure; clocks are arguments."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

#: Pauses between attempts, in seconds: the first, the longest, and the longest for whom somebody waits.
FIRST, LONGEST, LONGEST_WANTED = 0.5, 60.0, 4.0
#: Who has not been met for so long is forgotten, in seconds; and the most that are kept.
FORGOTTEN, MOST = 86_400.0, 1024
#: The most addresses kept for one peer.
MOST_ADDRESSES = 16


@dataclass(slots=True)
class Known:
    """One peer: where it may be, newest first, and when it is to be dialled again."""

    addresses: list[str]
    next: float
    last_met: float
    pause: float = FIRST
    connected: bool = False
    dialling: bool = False
    wanted: set[int] = field(default_factory=set[int])


class Redial:
    """Who is known, and who is to be dialled now.  All times are in seconds on one clock of the caller's."""

    def __init__(self) -> None:
        self._known: dict[str, Known] = {}

    def __repr__(self) -> str:
        return f"<Redial {sum(each.connected for each in self._known.values())} of {len(self._known)} connected>"

    def addresses(self, peer: str) -> tuple[str, ...]:
        """Return where *peer* may be, best first; nothing if it is unknown."""
        known = self._known.get(peer)
        return tuple(known.addresses) if known else ()

    def know(self, peer: str, addresses: Iterable[str], now: float) -> None:
        """Keep that *peer* may be at *addresses*; what is new is tried at once."""
        known = self._known.get(peer)
        if known is None:
            self._make_room(now)
            known = self._known[peer] = Known([], now, now)
        fresh = [each for each in dict.fromkeys(addresses) if each not in known.addresses]
        if fresh:
            known.addresses = [*fresh, *known.addresses][:MOST_ADDRESSES]
            known.next, known.pause = now, FIRST

    def want(self, peer: str, number: int, now: float) -> None:
        """Let a path, *number*, wait for *peer*: it is dialled at shorter pauses from now on."""
        self.know(peer, (), now)
        known = self._known[peer]
        known.wanted.add(number)
        known.next, known.pause = min(known.next, now), FIRST

    def unwant(self, peer: str, number: int) -> None:
        """Let the path *number* wait no more."""
        if known := self._known.get(peer):
            known.wanted.discard(number)

    def due(self, now: float) -> list[str]:
        """Return who is to be dialled, and take them for being dialled."""
        ready = [
            peer
            for peer, known in self._known.items()
            if known.addresses and not known.connected and not known.dialling and known.next <= now
        ]
        for peer in ready:
            self._known[peer].dialling = True
        return ready

    def rests(self, peer: str, now: float) -> bool:
        """Return whether *peer* did not answer, and it is not yet time to try again."""
        known = self._known.get(peer)
        return known is not None and not known.connected and known.pause > FIRST and known.next > now

    def until_due(self, now: float) -> float:
        """Return the seconds until somebody is to be dialled."""
        waits = (
            known.next - now
            for known in self._known.values()
            if known.addresses and not known.connected and not known.dialling
        )
        return max(0.0, min(waits, default=LONGEST))

    def failed(self, peer: str, now: float) -> None:
        """Note that an attempt to dial *peer* came to nothing."""
        known = self._known.get(peer)
        if known is None:
            return
        known.dialling = False
        known.next = now + known.pause
        known.pause = min(known.pause * 2, LONGEST_WANTED if known.wanted else LONGEST)
        if now - known.last_met > FORGOTTEN and not known.wanted:
            del self._known[peer]

    def met(self, peer: str, address: str, now: float) -> None:
        """Note that *peer* is connected; *address*, if we dialled it, comes first from now on."""
        self.know(peer, (), now)
        known = self._known[peer]
        known.connected, known.dialling, known.pause, known.last_met = True, False, FIRST, now
        if address:
            rest = [each for each in known.addresses if each != address]
            known.addresses = [address, *rest][:MOST_ADDRESSES]

    def parted(self, peer: str, now: float) -> None:
        """Note that *peer* is connected no more; it is dialled again at once, as it may only have lost its way."""
        if known := self._known.get(peer):
            known.connected, known.next, known.pause, known.last_met = False, now, FIRST, now

    def forget(self, peer: str) -> None:
        """Dial *peer* no more: it is revoked."""
        self._known.pop(peer, None)

    def _make_room(self, now: float) -> None:
        if len(self._known) < MOST:
            return
        idle = [(known.last_met, peer) for peer, known in self._known.items() if not known.connected]
        if idle:
            del self._known[min(idle)[1]]
