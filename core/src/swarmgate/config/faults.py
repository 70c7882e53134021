"""What is wrong with a configuration, and where it says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path

from swarmgate.config.origins import KeyPath, nearest
from swarmgate.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was given: a file and a way into it, or the name of a variable or flag.

    *rank* sorts places: nearer files first, what is in no file last.  *folder* is what relative
    paths given there are relative to; without one it is the working directory.
    """

    source: str
    rank: int = 0
    lines: Mapping[KeyPath, int] | None = None
    path: KeyPath = ()
    folder: Path | None = None

    def at(self, *steps: str | int) -> Place:
        """Return the place *steps* further in."""
        return replace(self, path=(*self.path, *steps))

    @property
    def in_file(self) -> bool:
        """Say whether this is in a file, where values have types of their own, or a bare string."""
        return self.lines is not None

    @property
    def line(self) -> int | None:
        """Return the line, counted from one, or ``None`` outside of files."""
        return nearest(self.lines, self.path) if self.lines is not None else None

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong, with its remedy if there is one."""

    source: str
    line: int | None
    what: str
    rank: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"{self.source}:{self.line}: {self.what}" if self.line else f"{self.source}: {self.what}"


class FaultyConfig(ConfigError):
    """The configuration cannot be used; *faults* are all there are, sorted by line."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(dict.fromkeys(faults), key=lambda fault: (fault.rank, fault.line or 0)))
        super().__init__("\n".join(map(str, self.faults)))


def fault(place: Place, what: str) -> Fault:
    """Return *what* as a fault at *place*."""
    return Fault(place.source, place.line, what, place.rank)


def suggest(name: str, known: Iterable[str]) -> str:
    """Return the remedy for an unknown *name*: the closest of *known*, or all of them."""
    known = sorted(known)
    if close := get_close_matches(name, known, n=1):
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(known) or 'none'}"
