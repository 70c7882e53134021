"""What is known of a server after looking at it again and again; decides, and does nothing."""

from __future__ import annotations

from collections.abc import Callable

from swarmgate.api import Health, ModelCard

_SHORTEST, _LONGEST, _GROWTH = 0.25, 10.0, 1.5


class Standing:
    """Remembers the last good look, and how many failed since.

    The models of a server that is gone are known for *remember* seconds more, by *clock*; *refresh* is the pause
    after a good look.
    """

    def __init__(
        self, *, foretold: tuple[ModelCard, ...], remember: float, refresh: float, clock: Callable[[], float]
    ) -> None:
        self._cards = foretold
        self._foretold = foretold
        self._remember = remember
        self._refresh = refresh
        self._clock = clock
        self._health = Health(ready=False, reason="nobody has looked at it yet")
        self._gone_since: float | None = None
        self._starting = 0
        self.misses = 0

    def __repr__(self) -> str:
        return f"<Standing of {len(self._cards)} models, {self._health.reason or 'ready'}>"

    def saw(self, cards: tuple[ModelCard, ...], reason: str) -> None:
        """Note a look that found *cards*; *reason* says why none of them answers, if none does."""
        if cards != self._cards:
            self._cards = cards
        self._health = Health(ready=not reason, reason=reason)  # asked for several times in each request
        self._gone_since, self.misses = None, 0
        self._starting = self._starting + 1 if reason else 0

    def missed(self, reason: str, *, looked: bool = True) -> None:
        """Note that the server did not do as it should, when *looked* at or when asked for something."""
        self._health = Health(ready=not reason, reason=reason)
        self.misses += looked
        self._starting = 0
        if self._gone_since is None:
            self._gone_since = self._clock()

    def models(self) -> tuple[ModelCard, ...]:
        """Return what it serves, or did until lately."""
        if self._gone_since is not None and self._clock() - self._gone_since > self._remember:
            return self._foretold
        return self._cards

    def health(self) -> Health:
        """Return whether it could answer."""
        return self._health

    def pause(self) -> float:
        """Return for how many seconds to leave it alone before the next look: longer after each that was no good.

        One that is there and not ready is likely loading; it is looked at no less often than one that is ready.
        """
        if self.misses:
            return _pause(self.misses, _LONGEST)
        return _pause(self._starting, self._refresh) if self._starting else self._refresh


def _pause(vain: int, longest: float) -> float:
    return min(_SHORTEST * _GROWTH ** min(vain - 1, 16), longest)
