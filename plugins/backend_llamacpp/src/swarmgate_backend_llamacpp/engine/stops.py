"""Stop strings in a stream: what is safe to say, and whether one has been met.  Pure."""

from __future__ import annotations

from collections.abc import Iterable


class StopMatcher:
    """Watches a text that arrives piece by piece for the first of some stop strings.

    The stop that is complete first wins, and of those complete at the same character the longest,
    so that the cutting of the text never matters.  Text is held back only while it may be the
    beginning of a stop.
    """

    def __init__(self, stops: Iterable[str]) -> None:
        """Watch for *stops*, any number of them; empty ones are passed over."""
        self._stops = tuple(dict.fromkeys(stop for stop in stops if stop))
        self._held = ""
        self._met: str | None = None

    def __repr__(self) -> str:
        return f"<StopMatcher {self._stops!r} holding {self._held!r}>"

    @property
    def met(self) -> str | None:
        """Return the stop string that was met, if any; all text after it is swallowed."""
        return self._met

    def feed(self, text: str) -> tuple[str, str | None]:
        """Take *text* in; return the text that is safe to say, and the stop that ends it if one was met."""
        if self._met is not None:
            return "", self._met
        self._held += text
        found = [(at + len(stop), -len(stop), stop) for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            end, length, self._met = min(found)
            said, self._held = self._held[: end + length], ""
            return said, self._met
        cut = len(self._held) - max((overlap(self._held, stop) for stop in self._stops), default=0)
        said, self._held = self._held[:cut], self._held[cut:]
        return said, None

    def flush(self) -> str:
        """Return what was held back: the text is over, so it was no stop."""
        text, self._held = self._held, ""
        return text


def overlap(text: str, wanted: str) -> int:
    """Return how many characters at the end of *text* may be the beginning of *wanted*, all of it not counted."""
    return next((n for n in range(min(len(wanted) - 1, len(text)), 0, -1) if text.endswith(wanted[:n])), 0)
