"""Regular expressions of JSON Schema's ``pattern`` as grammar expressions for the inside of a JSON string.  Pure.

Understood are ECMA-262's literals, classes, groups, alternatives and quantifiers, with anchors at the ends.
What looks around or back is not: a grammar cannot.
"""

from __future__ import annotations

import re

from swarmgate_backend_llamacpp.engine.gbnf import Grammar, Ranges, charset, either, literal

MAX_PATTERN = 2000
MAX_DEPTH = 40
_FIRST, _LAST = 0x20, 0x10FFFF  # what may stand in a JSON string as itself
_DIGIT: Ranges = [(0x30, 0x39)]
_WORD: Ranges = [(0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)]
_BLANK: Ranges = [(0x09, 0x0D), (0x20, 0x20)]  # the ones that every dialect agrees on
_NEWLINES: Ranges = [(0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029)]
_CLASSES = {"d": _DIGIT, "w": _WORD, "s": _BLANK}
_CONTROLS = {"n": 0x0A, "r": 0x0D, "t": 0x09, "f": 0x0C, "v": 0x0B, "0": 0x00}
#: How JSON writes the characters that cannot stand for themselves in a string.
_WRITTEN = {0x22: '\\"', 0x5C: "\\\\", 0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t", 0x0C: "\\f", 0x08: "\\b"}
_QUANTIFIER = re.compile(r"([*+?])|\{(\d+)(,?)(\d*)\}")
_GROUP = re.compile(r"\?(:|P?<[A-Za-z_]\w*>)")
_CODE = re.compile(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]+)\}")


class PatternError(ValueError):
    """The pattern is broken, or asks for what a grammar cannot say."""


def pattern_rule(pattern: str, grammar: Grammar) -> str:
    """Return the expression for the texts in which *pattern* is found, as a JSON string spells them, without quotes.

    Raises:
        PatternError: it is not understood, and why.

    """
    if len(pattern) > MAX_PATTERN:
        raise PatternError(f"it has {len(pattern)} characters, expected at most {MAX_PATTERN}")
    return _Reader(pattern, grammar).whole()


def _complement(ranges: Ranges) -> Ranges:
    gaps: Ranges = []
    start = 0
    for low, high in sorted(ranges):
        if low > start:
            gaps.append((start, low - 1))
        start = max(start, high + 1)
    return [*gaps, (start, _LAST)] if start <= _LAST else gaps


class _Reader:
    def __init__(self, pattern: str, grammar: Grammar) -> None:
        self._text, self._at, self._grammar, self._depth = pattern, 0, grammar, 0

    def whole(self) -> str:
        choices: list[str] = []
        while True:
            anything = f"{self._grammar.char()}*"
            before = "" if self._take("^") else anything
            middle = self._sequence()
            after = "" if self._take("$") else anything
            choices.append(" ".join(filter(None, [before, middle, after])) or '""')
            if not self._take("|"):
                break
        if self._at < len(self._text):
            raise PatternError(f"{self._text[self._at]!r} at character {self._at} is not understood there")
        return either(choices)

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self, wanted: str) -> bool:
        if not self._text.startswith(wanted, self._at):
            return False
        self._at += len(wanted)
        return True

    def _alternatives(self) -> str:
        choices = [self._sequence() or '""']
        while self._take("|"):
            choices.append(self._sequence() or '""')
        return either(choices)

    def _sequence(self) -> str:
        parts: list[str] = []
        while self._peek() not in ("", "|", ")", "$"):
            parts.append(self._quantified(self._atom()))
        return " ".join(parts)

    def _quantified(self, atom: str) -> str:
        found = _QUANTIFIER.match(self._text, self._at)
        if not found:
            return atom
        self._at = found.end()
        if self._peek() in ("?", "+"):  # lazy or possessive: the texts are the same
            self._at += 1
        sign, low, comma, high = found.groups()
        if sign:
            least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        else:
            least = int(low)
            most = least if not comma else int(high) if high else None
        symbol = atom if atom.startswith("[") and " " not in atom else self._grammar.add("part", atom)
        return self._grammar.repeat(symbol, least, most)

    def _atom(self) -> str:
        character = self._peek()
        if character == "(":
            return self._group()
        if character in ("^", "*", "+", "?"):
            raise PatternError(f"{character!r} at character {self._at} is not understood there")
        self._at += 1
        if character == "[":
            return self._written(self._class())
        if character == ".":
            return self._written(_complement(_NEWLINES))
        if character == "\\":
            return self._written(self._escape())
        return self._written([(ord(character), ord(character))])

    def _group(self) -> str:
        self._at += 1
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise PatternError(f"its groups are more than {MAX_DEPTH} deep")
        if self._peek() == "?":
            kind = _GROUP.match(self._text, self._at)
            if not kind:
                raise PatternError("a group that looks ahead or behind, or sets flags, cannot be put into a grammar")
            self._at = kind.end()
        inside = self._alternatives()
        if self._peek() == "$":
            raise PatternError("an anchor inside a group cannot be put into a grammar")
        if not self._take(")"):
            raise PatternError("a group is not closed")
        self._depth -= 1
        return f"({inside})"

    def _class(self) -> Ranges:
        negated = self._take("^")
        ranges: Ranges = []
        while not self._take("]"):
            low = self._member()
            if self._peek() == "-" and self._text[self._at + 1 : self._at + 2] not in ("]", "") and len(low) == 1:
                self._at += 1
                high = self._member()
                if len(high) != 1 or high[0][0] < low[0][0]:
                    raise PatternError("a range in a character class runs backwards")
                low = [(low[0][0], high[0][1])]
            ranges += low
        return _complement(ranges) if negated else ranges

    def _member(self) -> Ranges:
        character = self._peek()
        if not character:
            raise PatternError("a character class is not closed")
        self._at += 1
        if character != "\\":
            return [(ord(character), ord(character))]
        if self._take("b"):
            return [(0x08, 0x08)]
        return self._escape()

    def _escape(self) -> Ranges:
        code = _CODE.match(self._text, self._at)
        if code:
            self._at = code.end()
            point = int(next(filter(None, code.groups())), 16)
            return [(point, point)]
        character = self._peek()
        self._at += 1
        if character.lower() in _CLASSES and character:
            ranges = _CLASSES[character.lower()]
            return ranges if character.islower() else _complement(ranges)
        if character in _CONTROLS:
            return [(_CONTROLS[character], _CONTROLS[character])]
        if not character or character.isalnum():
            raise PatternError(f"the escape \\{character} cannot be put into a grammar")
        return [(ord(character), ord(character))]

    def _written(self, ranges: Ranges) -> str:
        """One character out of *ranges*, escaped where JSON asks for it."""
        if len(ranges) == 1 and ranges[0][0] == ranges[0][1] >= _FIRST and ranges[0][0] not in _WRITTEN:
            return literal(chr(ranges[0][0]))
        taboo: Ranges = [(0x00, _FIRST - 1), (0x22, 0x22), (0x5C, 0x5C)]
        plain = _complement(_complement(ranges) + taboo)
        choices = [charset(plain)] if plain else []
        choices += [literal(text) for point, text in _WRITTEN.items() if any(a <= point <= b for a, b in ranges)]
        if not choices:
            raise PatternError("it asks for a character that cannot be written")
        return either(choices)
