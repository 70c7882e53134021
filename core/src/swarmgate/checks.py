"""What ``gateway doctor`` looks at: checks, what they may find, and what is to be done about it.

A plugin brings checks of its own through the hook ``swarmgate_checks``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from swarmgate.nouns import Word
from swarmgate.parts import Options, PartContext

#: All is well; worth knowing; wrong, and something has to be done.
Level = Literal["fine", "note", "fault"]


class Finding(Word, frozen=True):
    """One thing that a check has seen.

    *what* says it in a sentence without a full stop, *about* names the thing it is about, if the check looks at
    several.  A fault has the *code* of its ailment, and the *remedy* for this very case.
    """

    what: str
    about: str = ""
    level: Level = "fine"
    code: str = ""
    remedy: str = ""


class Ailment(Word, frozen=True):
    """Something that can be wrong.

    *code* is ``subject.fault`` in small letters; programs and pages refer to it, so it keeps its meaning.  *meaning*
    says what it is and *remedy* what to do, both in Markdown, for the page that explains all of them.
    """

    code: str
    meaning: str
    remedy: str

    def found(self, what: str, *, about: str = "", remedy: str = "") -> Finding:
        """Return the finding of this ailment; *remedy* is for where more can be said than in general."""
        return Finding(what=what, about=about, level="fault", code=self.code, remedy=remedy or self.remedy)

    def noted(self, what: str, *, about: str = "", remedy: str = "") -> Finding:
        """Return the same for where it may well be meant to be so."""
        return Finding(what=what, about=about, level="note", code=self.code, remedy=remedy or self.remedy)


@dataclass(frozen=True, slots=True)
class Patient:
    """What a check may look at, and lean on.

    *context* is what parts are given: the node, its state folder, its place in a swarm.  *options* are those of the
    parts that the configuration chooses, by slot and name (``discovery/mdns``).  *running* says that a gateway of this
    configuration runs here at the moment: its sockets are taken, and are no fault.
    """

    context: PartContext
    options: Mapping[str, tuple[Options, ...]]
    running: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to be looked into.

    *summary* says what, for a heading.  *ailments* are all that it may find.  Where *parts* names some (by slot and
    name), it is made only if one of them is chosen.  *examine* looks, and changes nothing; it may take seconds, and
    what it raises is a fault of the check.
    """

    name: str
    summary: str
    ailments: tuple[Ailment, ...]
    examine: Callable[[Patient], Awaitable[Sequence[Finding]]]
    parts: frozenset[str] = frozenset()
