"""When to dial whom again, and whom to let go: everybody who was met is kept in mind, not everybody connected.

Few are all held.  Of many, where gossip says everything to everybody (:attr:`Redial.bounded`), each node holds some
that it draws by lot: neighbours enough for any message to get round and for any few of them to die.  Then one other
after the other is looked in at, so that halves which have lost sight of one another find out that they are two.

Pure; clocks and dice are arguments.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

#: Pauses between attempts, in seconds: the first, the longest, and the longest for whom somebody waits.
FIRST, LONGEST, LONGEST_WANTED = 0.5, 60.0, 4.0
#: Who has not been met for so long is forgotten, in seconds; and the most that are kept.
FORGOTTEN, MOST = 86_400.0, 1024
#: The most addresses kept for one peer.
MOST_ADDRESSES = 16
#: Up to so many others are all held.  Of more, so many are dialled, and so many are held in all if the rest dialled us.
FEW, DEGREE, MOST_HELD = 16, 8, 24
#: How long somebody who may be let go has been held at least, and how long between looking in at one, in seconds.
SETTLED, LOOKED_IN = 20.0, 30.0


@dataclass(slots=True)
class Known:
    """One peer: where it may be, newest first, and when it is to be dialled again.

    *tried* is when it was dialled or met last; *kept* says that it is to be held whoever else is.
    """

    addresses: list[str]
    next: float
    last_met: float
    pause: float = FIRST
    connected: bool = False
    dialling: bool = False
    tried: float = 0.0
    kept: bool = False
    wanted: set[int] = field(default_factory=set[int])

    @property
    def is_due(self) -> bool:
        """Return whether it is to be dialled, sooner or later."""
        return bool(self.addresses) and not self.connected and not self.dialling


class Redial:
    """Who is known, and who is to be dialled now.  All times are in seconds on one clock of the caller's."""

    def __init__(self, dice: random.Random | None = None) -> None:
        #: Whether some stand for all, of many: only where what is said to all gets round.
        self.bounded = False
        self._dice = dice or random.Random()  # noqa: S311  # no secret
        self._known: dict[str, Known] = {}
        self._look_in_at: float | None = None

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

    def keep(self, peer: str) -> None:
        """Hold *peer* whoever else is held: it is of use to us as it is to no other."""
        if known := self._known.get(peer):
            known.kept = True

    def due(self, now: float) -> list[str]:
        """Return who is to be dialled, and take them for being dialled."""
        ready = [peer for peer, known in self._known.items() if known.is_due and known.next <= now]
        if self._is_crowd:
            ready = self._chosen(ready, now)
        for peer in ready:
            self._known[peer].dialling, self._known[peer].tried = True, now
        return ready

    def surplus(self, now: float, is_idle: Callable[[str], bool]) -> list[str]:
        """Return who of those connected may go, as more are held than do any good; *is_idle* says whom nobody uses."""
        over = sum(known.connected for known in self._known.values()) - MOST_HELD
        if over <= 0 or not self._is_crowd:
            return []
        spare = [
            peer
            for peer, known in self._known.items()
            if known.connected and not self._must(known) and now - known.last_met >= SETTLED and is_idle(peer)
        ]
        return self._dice.sample(spare, min(over, len(spare)))

    def rests(self, peer: str, now: float) -> bool:
        """Return whether *peer* did not answer, and it is not yet time to try again."""
        known = self._known.get(peer)
        return known is not None and not known.connected and known.pause > FIRST and known.next > now

    def until_due(self, now: float) -> float:
        """Return the seconds until somebody is to be dialled."""
        waiting = [known for known in self._known.values() if known.is_due]
        if self._is_crowd and not self._lacks():
            moments = [known.next for known in waiting if self._must(known)]
            others = [known.next for known in waiting if not self._must(known)]
            if others:
                moments.append(max(self._look_in_at or now, min(others)))
        else:
            moments = [known.next for known in waiting]
        return max(0.0, min(moments, default=now + LONGEST) - now)

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
        known.connected, known.dialling, known.pause, known.last_met, known.tried = True, False, FIRST, now, now
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

    @property
    def is_sated(self) -> bool:
        """Return whether enough of many are held, so that nobody else need be dialled who is only of passing use."""
        return self._is_crowd and not self._lacks()

    @property
    def _is_crowd(self) -> bool:
        """Return whether there are more than can all be held; who has long been away does not count."""
        if not self.bounded or len(self._known) <= FEW:
            return False
        return sum(known.connected or known.pause < LONGEST for known in self._known.values()) > FEW

    @staticmethod
    def _must(known: Known) -> bool:
        return known.kept or bool(known.wanted)

    def _lacks(self) -> int:
        """Return how many more are to be dialled, of whomever."""
        return max(0, DEGREE - sum(known.connected or known.dialling for known in self._known.values()))

    def _chosen(self, ready: list[str], now: float) -> list[str]:
        """Return whom to dial of those who are *ready*: whom we must, neighbours by lot, and one to look in at."""
        chosen = [peer for peer in ready if self._must(self._known[peer])]
        others = [peer for peer in ready if not self._must(self._known[peer])]
        drawn = self._dice.sample(others, min(len(others), max(0, self._lacks() - len(chosen))))
        if self._look_in_at is None:  # not all at the same moment
            self._look_in_at = now + LOOKED_IN * self._dice.random()
        left = [peer for peer in others if peer not in drawn]
        if left and now >= self._look_in_at:
            self._look_in_at = now + LOOKED_IN
            drawn.append(min(left, key=lambda peer: self._known[peer].tried))
        return chosen + drawn

    def _make_room(self, now: float) -> None:
        if len(self._known) < MOST:
            return
        idle = [(known.last_met, peer) for peer, known in self._known.items() if not known.connected]
        if idle:
            del self._known[min(idle)[1]]
