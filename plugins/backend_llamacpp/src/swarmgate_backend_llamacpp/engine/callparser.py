"""Content and tool calls in one stream of text, for every format of :mod:`.toolformats`.  Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from hashlib import sha256

from swarmgate.api import ToolCallDelta

from swarmgate_backend_llamacpp.engine.callscanner import CallScanner
from swarmgate_backend_llamacpp.engine.stops import overlap
from swarmgate_backend_llamacpp.engine.toolformats import ToolFormat

_HEAD = re.compile(r"\s*([\w.\-]+)\s*(?:\[CALL_ID\]\s*[\w\-]*\s*)?(?:\[ARGS\])?\s*")
_MAX_HEAD = 200
_SEPARATOR = re.compile(r"\s*[,;]?\s*")


def call_id(seed: int, index: int) -> str:
    """Return the id of an answer's call number *index*: the same whenever the same answer is written again."""
    return "call_" + sha256(f"{seed}:{index}".encode()).hexdigest()[:24]


class CallParser:
    """Tells content from calls as the text arrives."""

    def __init__(self, form: ToolFormat, names: Collection[str], *, seed: int, parallel: bool = True) -> None:
        """*names* are the tools there are; *parallel* False ends the answer with its first call."""
        self._form, self._names, self._seed, self._parallel = form, names, seed, parallel
        self._openers = tuple(filter(None, (form.opener, *form.also)))
        self._state: Callable[[], bool] = self._seek if form.opener else self._start
        self._held: str = ""  # text that is not decided
        self._raw: str = ""  # what would be content after all if the call begun turns out to be none
        self._array = self._spoke = False
        self._scanner: CallScanner | None = None
        self._index = -1
        self._content: list[str] = []
        self._calls: list[ToolCallDelta] = []
        self.complete = False

    def __repr__(self) -> str:
        return f"<CallParser {self._form.name} calls={self._index + 1}>"

    @property
    def called(self) -> bool:
        """Return whether a call was made."""
        return self._index >= 0

    def feed(self, text: str) -> tuple[str, tuple[ToolCallDelta, ...]]:
        """Take *text* in; return the content and the pieces of calls that are certain now."""
        self._held += text
        while self._state():
            pass
        return self._take()

    def finish(self) -> tuple[str, tuple[ToolCallDelta, ...]]:
        """Return what was held back: the text is over."""
        if self._state in (self._seek, self._start):
            self._say(self._held)
        elif self._state == self._opened or (self._state == self._scan and not self._spoke):
            self._say(self._raw + self._held)
        elif self._state == self._between:
            self._say(self._held.lstrip())
        self._held = self._raw = ""
        return self._take()

    def _take(self) -> tuple[str, tuple[ToolCallDelta, ...]]:
        content, calls = "".join(self._content), tuple(self._calls)
        self._content.clear()
        self._calls.clear()
        return content, calls

    def _say(self, text: str) -> None:
        self._content.append(text)

    def _start(self) -> bool:
        """Where bare objects are calls, one can only be the answer's beginning."""
        shown = self._held.lstrip()
        if not shown:
            return False
        if shown[0] == "{":
            self._raw, self._held = self._held[: -len(shown)], shown
            return self._begin(CallScanner(names=self._names))
        self._state = self._seek
        return True

    def _seek(self) -> bool:
        """Look for the mark that opens a call; white space before it is layout."""
        found = [(at, opener) for opener in self._openers if (at := self._held.find(opener)) >= 0]
        if found:
            at, opener = min(found, key=lambda pair: (pair[0], -len(pair[1])))
            before = self._held[:at].rstrip()
            self._say(before)
            end = at + len(opener)
            self._raw, self._held = self._held[len(before) : end], self._held[end:]
            self._state, self._array = self._opened, False
            return True
        safe = self._held[: len(self._held) - max((overlap(self._held, o) for o in self._openers), default=0)].rstrip()
        self._say(safe)
        self._held = self._held[len(safe) :]
        return False

    def _opened(self) -> bool:
        shown = self._held.lstrip()
        if not shown:
            return False
        if shown[0] == "[" and not self._array:
            self._consume(len(self._held) - len(shown) + 1)
            self._array = True
            return True
        if shown[0] == "{":
            names = None if self._form.opener else self._names
            return self._begin(CallScanner(names=names))
        return self._give_up() if self._array or not self._form.named else self._name()

    def _name(self) -> bool:
        head, brace, _ = self._held[: _MAX_HEAD + 1].partition("{")
        if not brace and len(self._held) <= _MAX_HEAD:
            return False
        named = _HEAD.fullmatch(head) if brace else None
        if named is None:
            return self._give_up()
        self._consume(len(head))
        return self._begin(CallScanner(name=named[1]))

    def _consume(self, count: int) -> None:
        self._raw += self._held[:count]
        self._held = self._held[count:]

    def _begin(self, scanner: CallScanner) -> bool:
        self._scanner, self._spoke, self._state = scanner, False, self._scan
        return True

    def _give_up(self) -> bool:
        """Say that it was no call: what was taken for one is content, and what follows is looked at afresh."""
        self._say(self._raw)
        self._raw, self._state = "", self._seek
        return True

    def _scan(self) -> bool:
        scanner = self._scanner
        assert scanner is not None  # noqa: S101  # set on the way into this state
        self._consume(scanner.feed(self._held))
        if scanner.name is not None:
            self._pass_on(scanner)
            self._raw = ""  # too late to take it back
        if scanner.bad:
            return self._give_up()
        if scanner.done:
            self._raw, self._state = "", self._between
            if not self._parallel:
                self.complete, self._state = True, self._over
            return True
        return False

    def _pass_on(self, scanner: CallScanner) -> None:
        arguments = scanner.take_arguments()
        if not self._spoke:
            self._spoke = True
            self._index += 1
            name = scanner.name
            self._calls.append(
                ToolCallDelta(index=self._index, id=call_id(self._seed, self._index), name=name, arguments=arguments)
            )
        elif arguments:
            self._calls.append(ToolCallDelta(index=self._index, arguments=arguments))

    def _between(self) -> bool:
        """Look at what follows a call: its closing mark, another call, or content."""
        shown = self._held.lstrip()
        marks = tuple(filter(None, (self._form.closer, *self._openers)))
        met = next((mark for mark in marks if shown.startswith(mark)), None)
        if met is not None:
            self._held = shown[len(met) :]
            if met == self._form.closer:
                self._state = self._closed
            else:
                self._raw, self._state, self._array = met, self._opened, False
            return True
        if not shown or any(mark.startswith(shown) for mark in marks):
            return False
        if self._array and shown[0] == "]":
            self._array, self._held = False, shown[1:]
            return True
        separator = _SEPARATOR.match(shown)
        rest = shown[separator.end() :] if separator else shown
        if not rest:
            return False
        if rest[0] == "{":
            self._raw, self._held = shown[: -len(rest)], rest
            return self._begin(CallScanner(names=None if self._form.opener else self._names))
        self._held, self._state = shown, self._seek
        return True

    def _closed(self) -> bool:
        """White space after a call is layout."""
        self._held = self._held.lstrip()
        if self._held:
            self._state = self._seek
        return bool(self._held)

    def _over(self) -> bool:
        self._held = ""
        return False
