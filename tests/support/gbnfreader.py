"""A reader of llama.cpp's grammars (GBNF) in Python, written for tests: does a text obey, and what texts would.

It knows the notation our own grammars use: literals, sets, groups, alternatives, repetitions, rules.  It is no match
for llama.cpp's in speed, and independent of the code that writes grammars.
"""

from __future__ import annotations

import random
import re
from functools import cache, partial
from typing import Any

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<literal>"(?:\\.|[^"\\])*")
    | (?P<set>\[\^?(?:\\.|[^\]\\])*\])
    | (?P<name>[a-zA-Z][a-zA-Z0-9-]*)
    | (?P<count>\{\d+(?:,\d*)?\})
    | (?P<sign>[()|*+?])
    )""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(?:x(..)|u(....)|U(........)|(.))", re.DOTALL)
_SHORT = {"n": "\n", "r": "\r", "t": "\t"}

Node = tuple[Any, ...]


def _unescaped(text: str) -> list[str]:
    """The characters of a literal or set, escapes resolved; ranges' dashes are marked by an empty string."""
    characters: list[str] = []
    at = 0
    while at < len(text):
        found = _ESCAPE.match(text, at)
        if found:
            code = found[1] or found[2] or found[3]
            characters.append(chr(int(code, 16)) if code else _SHORT.get(found[4], found[4]))
            at = found.end()
        else:
            characters.append("" if text[at] == "-" else text[at])
            at += 1
    return characters


class GbnfReader:
    """A grammar that can be asked."""

    def __init__(self, text: str) -> None:
        self._rules: dict[str, Node] = {}
        for line in text.rstrip("\n").split("\n"):
            name, sign, body = line.partition(" ::= ")
            assert sign, f"no rule: {line!r}"
            assert name not in self._rules, f"defined twice: {name}"
            self._rules[name] = self._parse(body)
        self._check_references()

    def accepts(self, text: str) -> bool:
        """Whether the whole of *text* obeys the grammar."""
        return len(text) in self._ends(self._rules["root"], text)

    def example(self, seed: int, *, size: int = 30) -> str:
        """A text that obeys, drawn with *seed*; about *size* choices are free before it hurries to an end."""
        writer = _Writer(self._rules, random.Random(seed), size)
        return writer.write(self._rules["root"])

    def _check_references(self) -> None:
        def visit(node: Node) -> None:
            if node[0] == "rule":
                assert node[1] in self._rules, f"undefined rule {node[1]}"
            for part in node[1] if node[0] in ("either", "all") else [node[1]] if node[0] == "repeat" else []:
                visit(part)

        for node in self._rules.values():
            visit(node)

    def _parse(self, body: str) -> Node:
        tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(body.rstrip()):
            found = _TOKEN.match(body, at)
            assert found, f"not understood: {body[at : at + 40]!r}"
            kind = found.lastgroup
            assert kind
            tokens.append((kind, found[kind]))
            at = found.end()
        node, rest = self._alternatives(tokens, 0)
        assert rest == len(tokens), f"left over: {tokens[rest:]}"
        return node

    def _alternatives(self, tokens: list[tuple[str, str]], at: int) -> tuple[Node, int]:
        choices: list[Node] = []
        while True:
            parts: list[Node] = []
            while at < len(tokens) and tokens[at][1] not in ("|", ")"):
                part, at = self._item(tokens, at)
                parts.append(part)
            choices.append(("all", tuple(parts)))
            if at >= len(tokens) or tokens[at][1] != "|":
                return ("either", tuple(choices)), at
            at += 1

    def _item(self, tokens: list[tuple[str, str]], at: int) -> tuple[Node, int]:
        kind, text = tokens[at]
        node: Node
        if text == "(":
            node, at = self._alternatives(tokens, at + 1)
            assert at < len(tokens), "a group is not closed"
            assert tokens[at][1] == ")"
        elif kind == "literal":
            node = ("text", "".join(c or "-" for c in _unescaped(text[1:-1])))
        elif kind == "set":
            node = self._set(text[1:-1])
        else:
            assert kind == "name", f"misplaced {text!r}"
            node = ("rule", text)
        at += 1
        if at < len(tokens) and (tokens[at][0] == "count" or tokens[at][1] in ("*", "+", "?")):
            sign = tokens[at][1]
            low, _, high = sign[1:-1].partition(",") if sign[0] == "{" else ("", "", "")
            bounds: tuple[int, int | None]
            if sign[0] == "{":
                bounds = (int(low), int(high) if high else None if "," in sign else int(low))
            else:
                bounds = {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
            return ("repeat", node, *bounds), at + 1
        return node, at

    def _set(self, inside: str) -> Node:
        negated = inside.startswith("^")
        members = _unescaped(inside[negated:])
        ranges: list[tuple[str, str]] = []
        at = 0
        while at < len(members):
            if at + 2 < len(members) and members[at + 1] == "":
                ranges.append((members[at], members[at + 2]))
                at += 3
            else:
                ranges.append((members[at] or "-", members[at] or "-"))
                at += 1
        return ("set", negated, tuple(ranges))

    def _ends(self, root: Node, text: str) -> frozenset[int]:
        open_calls: set[tuple[Node, int]] = set()

        @cache
        def ends(node: Node, at: int) -> frozenset[int]:
            match node:
                case ("text", wanted):
                    return frozenset([at + len(wanted)]) if text.startswith(wanted, at) else frozenset()
                case ("set", *_):
                    return frozenset([at + 1]) if at < len(text) and _within(node, text[at]) else frozenset()
                case ("rule", name):
                    assert (node, at) not in open_calls, f"{name} begins with itself"
                    open_calls.add((node, at))
                    found = ends(self._rules[name], at)
                    open_calls.discard((node, at))
                    return found
                case ("either", choices):
                    return frozenset().union(*(ends(choice, at) for choice in choices))
                case ("all", parts):
                    places = frozenset([at])
                    for part in parts:
                        places = frozenset().union(*(ends(part, place) for place in places))
                    return places
                case ("repeat", part, low, high):
                    return self._repeated(partial(ends, part), at, low, high)
                case _:
                    raise AssertionError(node)

        return ends(root, 0)

    @staticmethod
    def _repeated(ends: Any, at: int, low: int, high: int | None) -> frozenset[int]:
        places, found, count = frozenset([at]), set[int](), 0
        if low == 0:
            found.add(at)
        while places and (high is None or count < high):
            places = frozenset[int]().union(*(ends(place) for place in places))
            count += 1
            if count >= low:
                if places <= found:
                    break
                found |= places
        return frozenset(found)


def _within(node: Node, character: str) -> bool:
    return any(low <= character <= high for low, high in node[2]) != node[1]


class _Writer:
    def __init__(self, rules: dict[str, Node], draw: random.Random, size: int) -> None:
        self._rules, self._draw, self._left = rules, draw, size
        self._cost = self._costs()

    def write(self, node: Node) -> str:  # noqa: PLR0911  # one return per kind of node
        self._left -= 1
        match node:
            case ("text", text):
                return text
            case ("set", *_):
                return self._character(node)
            case ("rule", name):
                return self.write(self._rules[name])
            case ("either", choices):
                if self._left > 0:
                    return self.write(self._draw.choice(choices))
                return self.write(min(choices, key=self._price))
            case ("all", parts):
                return "".join(map(self.write, parts))
            case ("repeat", part, low, high):
                most = min(high if high is not None else low + 3, low + 3) if self._left > 0 else low
                return "".join(self.write(part) for _ in range(self._draw.randint(low, most)))
            case _:
                raise AssertionError(node)

    def _character(self, node: Node) -> str:
        if not node[1]:
            low, high = self._draw.choice(node[2])
            while True:
                point = self._draw.randint(ord(low), ord(high))
                if not 0xD800 <= point <= 0xDFFF:
                    return chr(point)
        return next(c for c in iter(lambda: self._draw.choice('abcxyz019 _é"\\-€{}<>/'), None) if _within(node, c))

    def _price(self, node: Node) -> float:
        match node:
            case ("rule", name):
                return self._cost[name]
            case ("either", choices):
                return min(map(self._price, choices))
            case ("all", parts):
                return sum(map(self._price, parts)) + 1
            case ("repeat", part, low, _):
                return low * self._price(part) if low else 0
            case _:
                return 1

    def _costs(self) -> dict[str, float]:
        self._cost = dict.fromkeys(self._rules, float("inf"))
        for _ in self._rules:
            changed = {name: self._price(node) + 1 for name, node in self._rules.items()}
            if changed == self._cost:
                break
            self._cost = changed
        return self._cost
