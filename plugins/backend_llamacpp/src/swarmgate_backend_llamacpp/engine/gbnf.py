"""Grammars in llama.cpp's notation (GBNF), written rule by rule, with limits.  Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from swarmgate.api import RequestError

#: Characters of one grammar; each becomes work for every token drawn under it.
MAX_TEXT = 400_000
#: llama.cpp unrolls repetitions and refuses more than 2,000 at once; longer ones are made of chunks.
CHUNK = 1000
MAX_REPETITIONS = 100_000

_TWO_DIGITS, _FOUR_DIGITS = 0xFF, 0xFFFF

Ranges = list[tuple[int, int]]

SPACE = '| " " | "\\n"{1,2} [ \\t]{0,20}'
HEX = "[0-9a-fA-F]"
#: ``\\uXXXX`` for whole characters: halves of a pair would let a model write what is no text.
CODE = f'"u" ([0-9abcefABCEF] {HEX}{{3}} | [dD] [0-7] {HEX}{{2}})'
CHAR = f'[^"\\\\\\x00-\\x1F] | "\\\\" (["\\\\/bfnrt] | {CODE})'
_OUTSIDE_NAME = re.compile(r"[^a-zA-Z0-9]+")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def literal(text: str) -> str:
    """Return the expression that stands for *text* itself."""
    return '"' + "".join(_ESCAPES.get(c) or (c if c >= " " else f"\\x{ord(c):02X}") for c in text) + '"'


def charset(ranges: Iterable[tuple[int, int]]) -> str:
    """Return the expression for one character out of *ranges* of code points, ends included."""
    return "[" + "".join(_code(a) if a == b else f"{_code(a)}-{_code(b)}" for a, b in ranges) + "]"


def either(choices: Iterable[str]) -> str:
    """Return the expression for any one of *choices*, each said once."""
    said = list(dict.fromkeys(choices))
    return said[0] if len(said) == 1 else "(" + " | ".join(said) + ")"


def _code(point: int) -> str:
    character = chr(point)
    if character.isascii() and character.isalnum():
        return character
    form = "\\x{:02X}" if point <= _TWO_DIGITS else "\\u{:04X}" if point <= _FOUR_DIGITS else "\\U{:08X}"
    return form.format(point)


class Grammar:
    """The rules so far; equal rules are kept once."""

    def __init__(self, *, param: str) -> None:
        """*param* is the request's field to blame when the grammar grows too large."""
        self.param = param
        self._rules: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._length = 0

    def __repr__(self) -> str:
        return f"<Grammar of {len(self._rules)} rules>"

    def reserve(self, hint: str) -> str:
        """Return a name not used yet, to be defined later: for rules that speak of themselves."""
        stem = _OUTSIDE_NAME.sub("-", hint).strip("-")[:40]
        stem = stem if stem[:1].isalpha() else f"rule-{stem}".rstrip("-")
        name, number = stem, 1
        while name in self._rules or name == "root":
            number += 1
            name = f"{stem}-{number}"
        self._rules[name] = ""
        return name

    def define(self, name: str, body: str) -> None:
        """Say what the reserved *name* stands for.

        Raises:
            RequestError: the grammar has grown too large.

        """
        self._length += len(name) + len(body) + 6
        if self._length > MAX_TEXT:
            raise RequestError(
                f"the schema needs a grammar of more than {MAX_TEXT} characters; make it smaller", param=self.param
            )
        self._rules[name] = body

    def add(self, hint: str, body: str) -> str:
        """Return the name of a rule with this *body*, a new one like *hint* if there is none yet."""
        if body not in self._names:
            self._names[body] = self.reserve(hint)
            self.define(self._names[body], body)
        return self._names[body]

    def repeat(self, symbol: str, low: int, high: int | None) -> str:
        """Return the expression for *low* to *high* (None: any number) times *symbol*, a rule's name or a set.

        Raises:
            RequestError: the bounds contradict each other or are too large.

        """
        if high is not None and high < low:
            raise RequestError(f"a schema asks for at least {low} and at most {high} of something", param=self.param)
        if max(low, high or 0) > MAX_REPETITIONS:
            raise RequestError(
                f"a schema repeats something {max(low, high or 0)} times, expected at most {MAX_REPETITIONS}",
                param=self.param,
            )
        if high is None:
            return (
                symbol + {0: "*", 1: "+"}.get(low, f"{{{low},}}")
                if low <= CHUNK
                else (f"{self._exactly(symbol, low)} {symbol}*")
            )
        if high <= CHUNK:
            return (
                f"{symbol}?"
                if (low, high) == (0, 1)
                else f"{symbol}{{{low},{high}}}"
                if low < high
                else (f"{symbol}{{{low}}}" if low else '""')
            )
        return f"{self._exactly(symbol, low)} {self._up_to(symbol, high - low)}"

    def text(self, root: str) -> str:
        """Return the grammar whose whole is the expression *root*."""
        return "\n".join([f"root ::= {root}", *(f"{name} ::= {body}" for name, body in self._rules.items())]) + "\n"

    def space(self) -> str:
        """Return the rule for a little room between JSON's signs: enough to look nice, not to run away."""
        return self.add("space", SPACE)

    def char(self) -> str:
        """Return the rule for one character inside a JSON string, escaped where it must be."""
        return self.add("char", CHAR)

    def string(self) -> str:
        """Return the rule for any JSON string."""
        return self.add("string", f'"\\"" {self.char()}* "\\""')

    def _exactly(self, symbol: str, count: int) -> str:
        chunks, rest = divmod(count, CHUNK)
        chunk = self.add("chunk", f"{symbol}{{{CHUNK}}}") if chunks else ""
        return " ".join([*[chunk] * chunks, *([f"{symbol}{{{rest}}}"] if rest else [])]) or '""'

    def _up_to(self, symbol: str, count: int) -> str:
        """Unambiguous: a full chunk and what follows it, or fewer than a chunk."""
        chunks, rest = divmod(count, CHUNK)
        level = self.add("some", f"{symbol}{{0,{rest}}}") if rest else '""'
        for _ in range(chunks):
            some = self.add("some", f"{symbol}{{0,{CHUNK - 1}}}")
            chunk = self.add("chunk", f"{symbol}{{{CHUNK}}}")
            level = self.add("many", f"{some} | {chunk} {level}")
        return level
