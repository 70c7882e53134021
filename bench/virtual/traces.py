"""Recorded requests read from a file, and replayed.  Reading and drawing are pure; the file is the caller's to open.

Two formats are told apart by the first line:

* **Mooncake**: JSON lines with ``timestamp`` (milliseconds), ``input_length`` and ``output_length`` (tokens), and
  ``hash_ids``, where each stands for a block of 512 tokens and all before it; the last block may be shorter, and
  ``hash_ids`` may be left out where nothing is known of what prompts share.  R. Qin et al., "Mooncake", FAST 2025;
  ``FAST25-release/traces`` of the repository kvcache-ai/Mooncake.
* **ServeGen**: CSV with a header of at least ``timestamp`` (seconds), ``input_tokens`` and ``output_tokens``, as its
  ``save_requests_to_csv`` writes.  Prompts have nothing in common.  Y. Xiang et al., "ServeGen", arXiv 2505.09999;
  repository alibaba/ServeGen.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from statistics import fmean
from typing import Annotated, NamedTuple

import msgspec
from swarmgate.errors import ConfigError

from virtual.draws import Client, Request, capacity, repeated, text
from virtual.nodes import Machine

#: Tokens of a block of Mooncake's traces.
BLOCK_TOKENS = 512
#: No request of a trace is longer than so many tokens, either way: whoever says so wrote something else there.
_MOST_TOKENS = 1_000_000
_COLUMNS = ("timestamp", "input_tokens", "output_tokens")


class Recorded(NamedTuple):
    """One request of a trace: when it came, in seconds, its lengths in tokens, and what its prompt is made of."""

    at: float
    prompt: int
    answer: int
    blocks: tuple[int, ...] = ()


class _Row(msgspec.Struct):
    """A line of a Mooncake trace; what else it says is not needed."""

    timestamp: Annotated[float, msgspec.Meta(ge=0)]
    input_length: Annotated[int, msgspec.Meta(ge=1, le=_MOST_TOKENS)]
    output_length: Annotated[int, msgspec.Meta(ge=1, le=_MOST_TOKENS)]
    hash_ids: tuple[Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)], ...] = ()


def read_trace(name: str, lines: Iterable[str]) -> tuple[Recorded, ...]:
    """Return the requests of a trace, at least one, in the order of their coming; *name* is for messages.

    Raises:
        ConfigError: a line is not as it should be; the message says which one, why, and what to do.

    """
    numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    first = next(numbered, None)
    if first is None:
        raise ConfigError(f"trace {name} is empty, expected JSON lines (Mooncake) or CSV with a header (ServeGen)")
    found: list[Recorded] = []
    rows = _mooncake(name, first, numbered) if first[1].lstrip().startswith("{") else _servegen(name, first, numbered)
    for number, recorded in rows:
        if found and recorded.at < found[-1].at:
            raise _fault(
                name,
                number,
                f"timestamp goes back, from {found[-1].at:g} s to {recorded.at:g} s",
                "sort the file by it",
            )
        found.append(recorded)
    if not found:
        raise ConfigError(f"trace {name} has a header and no requests below it; write one line for each request")
    return tuple(found)


def _mooncake(name: str, first: tuple[int, str], rest: Iterator[tuple[int, str]]) -> Iterator[tuple[int, Recorded]]:
    decoder = msgspec.json.Decoder(_Row)
    for number, line in (first, *rest):
        try:
            row = decoder.decode(line)
        except msgspec.MsgspecError as error:
            raise _fault(name, number, _lower(str(error)), "mend or remove the line") from None
        needed = math.ceil(row.input_length / BLOCK_TOKENS)
        if row.hash_ids and len(row.hash_ids) != needed:
            raise _fault(
                name,
                number,
                f"{len(row.hash_ids)} hash_ids for an input_length of {row.input_length}",
                f"give {needed}, one for each {BLOCK_TOKENS} tokens, or none",
            )
        yield number, Recorded(row.timestamp / 1000, row.input_length, row.output_length, row.hash_ids)


def _servegen(name: str, first: tuple[int, str], rest: Iterator[tuple[int, str]]) -> Iterator[tuple[int, Recorded]]:
    header = [column.strip() for column in next(csv.reader([first[1]]))]
    missing = [column for column in _COLUMNS if column not in header]
    if missing:
        raise _fault(
            name,
            first[0],
            f"neither JSON nor a header with {' and '.join(missing)}",
            f"begin with a line of column names, {', '.join(_COLUMNS)} among them",
        )
    for number, line in rest:
        cells = next(csv.reader([line]))
        if len(cells) != len(header):
            raise _fault(name, number, f"{len(cells)} cells below a header of {len(header)}", "mend or remove the line")
        row = dict(zip(header, cells, strict=True))
        at = _number(name, number, row, "timestamp", least=0.0)
        prompt, answer = (_whole(name, number, row, column) for column in _COLUMNS[1:])
        yield number, Recorded(at, prompt, answer)


def _number(name: str, number: int, row: dict[str, str], column: str, *, least: float) -> float:
    try:
        value = float(row[column])
    except ValueError:
        value = math.nan
    if not least <= value < math.inf:
        raise _fault(name, number, f"{column} is {row[column]!r}", f"give a number of at least {least:g}")
    return value


def _whole(name: str, number: int, row: dict[str, str], column: str) -> int:
    value = _number(name, number, row, column, least=1.0)
    if not value.is_integer() or value > _MOST_TOKENS:
        raise _fault(name, number, f"{column} is {row[column]!r}", f"give a whole number up to {_MOST_TOKENS}")
    return int(value)


def _fault(name: str, number: int, what: str, remedy: str) -> ConfigError:
    return ConfigError(f"trace {name}, line {number}: {what}; {remedy}")


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]


@dataclass(frozen=True, slots=True)
class Replay:
    """Requests of a trace, sent as they came but *speed* times as fast: an open loop.

    Each seed has another stretch of the trace, begun at a request that is drawn; where the trace has no more requests
    than are wanted, every seed replays all of it, and only the lots of balancers differ.  The load is the trace's own.
    """

    recorded: tuple[Recorded, ...]
    speed: float = 1.0

    def clients(self, dice: Random, machines: Sequence[Machine], count: int, load: float) -> list[Client]:
        """Draw one client for each request of a stretch."""
        stretch = self.stretch(dice, count)
        return [
            Client((Request(_prompt(one, dice), one.answer, (one.at - stretch[0].at) / self.speed),)) for one in stretch
        ]

    def stretch(self, dice: Random, count: int) -> Sequence[Recorded]:
        """Return *count* requests that followed one another, or all there are."""
        begin = dice.randrange(max(len(self.recorded) - count, 0) + 1)
        return self.recorded[begin : begin + count]

    def load(self, machines: Sequence[Machine]) -> float:
        """Return how much of what *machines* can do the trace asks for, on the whole and nothing held; 1 is all."""
        seconds = (self.recorded[-1].at - self.recorded[0].at) / self.speed
        if seconds <= 0.0:
            return math.inf
        prompt, answer = fmean(one.prompt for one in self.recorded), fmean(one.answer for one in self.recorded)
        return len(self.recorded) / seconds / capacity(machines, prompt, answer)


def room_for(machines: Sequence[Machine], recorded: Sequence[Recorded]) -> tuple[Machine, ...]:
    """Return *machines* with memory and context for the longest of the requests in each slot."""
    longest = max(one.prompt + one.answer for one in recorded)
    return tuple(
        replace(
            machine,
            memory=max(machine.memory, machine.slots * longest),
            context=max(machine.context, longest),
        )
        for machine in machines
    )


def _prompt(recorded: Recorded, dice: Random) -> str:
    """Return a prompt that begins like others where its blocks are theirs."""
    if not recorded.blocks:
        return text(dice, recorded.prompt)
    whole = "".join(repeated(f"{block:016x}", BLOCK_TOKENS) for block in recorded.blocks)
    return whole[: len(repeated("x", recorded.prompt))]
