"""The shapes of JSON's objects and arrays as grammar expressions.  Pure."""

from __future__ import annotations

import json  # noqa: TID251  # the spelling of single characters inside a JSON string
import re
from collections.abc import Sequence
from dataclasses import dataclass

from swarmgate_backend_llamacpp.engine.gbnf import CODE, Grammar, Ranges, charset, either, literal

#: A character inside a JSON string as written.
_UNIT = re.compile(r"\\u....|\\.|.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Member:
    """A key and its value, as a rule; one that is not *required* may be left out."""

    pair: str
    required: bool


def closed_object(grammar: Grammar, members: Sequence[Member], rest: str | None) -> str:
    """Return the expression for an object of *members* in order, then any number of *rest* if there is one.

    Its length grows with the number of members, not with the number of ways to leave some out.
    """
    space = grammar.space()
    comma = f'"," {space}'
    more = f"({comma} {rest})*" if rest else ""
    following = [f"{comma} {m.pair}" if m.required else f"({comma} {m.pair})?" for m in members]
    first_required = next((n for n, m in enumerate(members) if m.required), len(members))

    after = " ".join(filter(None, [*following[first_required + 1 :], more]))
    choices: list[str] = []
    if first_required < len(members):
        choices.append(f"{members[first_required].pair} {after}".rstrip())
        after = f"{following[first_required]} {after}".rstrip()
    elif rest:
        choices.append(f"{rest} {more}")
    for n in range(first_required - 1, -1, -1):
        tail = grammar.add("after", after) if after else ""
        choices.append(f"{members[n].pair} {tail}".rstrip())
        after = f"{following[n]} {tail}".rstrip()
    if not choices:
        return f'"{{" {space} "}}"'
    inside = either(reversed(choices))
    if first_required == len(members):
        return f'"{{" {space} ({inside} {space})? "}}"'
    return f'"{{" {space} {inside} {space} "}}"'


def array(grammar: Grammar, first: Sequence[str], rest: str | None, low: int, high: int | None) -> str:
    """Return the expression for an array of *first* in order, then of *rest*, *low* to *high* items in all."""
    space = grammar.space()
    comma = f'"," {space}'
    start = f" {comma} ".join(first)
    more = ""
    if rest is not None and (high is None or high > max(len(first), 1)):
        least, most = max(low - max(len(first), 1), 0), None if high is None else high - max(len(first), 1)
        more = grammar.repeat(grammar.add("next", f"{comma} {rest}"), least, most)
    if first:
        return " ".join(filter(None, ['"["', space, start, more, space, '"]"']))
    if rest is None or high == 0:
        return f'"[" {space} "]"'
    items = f"{rest} {more} {space}".replace("  ", " ")
    return f'"[" {space} {items} "]"' if low else f'"[" {space} ({items})? "]"'


def open_key(grammar: Grammar, taken: Sequence[str]) -> str:
    """Return the rule for a JSON string that is none of *taken*: a second value for a key would hide the first."""
    if not taken:
        return grammar.string()
    units = sorted({tuple(_UNIT.findall(json.dumps(key, ensure_ascii=False)[1:-1])) for key in taken})
    return grammar.add("key", f'"\\"" {_other_than(grammar, units)} "\\""')


def _other_than(grammar: Grammar, taken: Sequence[tuple[str, ...]]) -> str:
    """Return the expression for the inside of a string that is none of *taken*, which are characters as written."""
    heads = sorted({key[0] for key in taken if key})
    anything = f"{grammar.char()}*"
    choices = [] if () in taken else ['""']
    plain = sorted({'"', "\\", *(head for head in heads if len(head) == 1)})
    excluded: Ranges = [(0x00, 0x1F), *((ord(sign), ord(sign)) for sign in plain)]
    choices.append(f"[^{charset(excluded)[1:]} {anything}")
    letters = "".join(sign for sign in '"\\/bfnrt' if f"\\{sign}" not in heads)
    escapes = [charset((ord(sign), ord(sign)) for sign in letters)] if letters else []
    if not any(head.startswith("\\u") for head in heads):
        escapes.append(CODE)
    if escapes:
        choices.append(f'"\\\\" {either(escapes)} {anything}')
    for head in heads:
        tails = [key[1:] for key in taken if key[:1] == (head,)]
        choices.append(f"{literal(head)} {grammar.add('key', _other_than(grammar, tails))}")
    return either(choices)
