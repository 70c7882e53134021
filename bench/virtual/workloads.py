"""What the machines are and what is asked of them, drawn from a seed: the workloads of the comparison."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import NamedTuple

from virtual.nodes import CHARACTERS, SLOPE, Machine

EVEN = tuple(Machine(name) for name in ("a", "b", "c"))
UNEVEN = tuple(Machine("").times(speed, f"{speed}x") for speed in (1, 2, 8))
#: How much of what the machines can do together is asked of them.
LOAD = 0.7
#: Bursts last so many seconds of so many.
_BURST, _PERIOD = 10.0, 60.0


class Arrival(NamedTuple):
    """One request: when it comes, in seconds from the start, its prompt, how many tokens it wants, and who asks.

    What comes of those that are not *counted* is in no figure.
    """

    at: float
    prompt: str
    tokens: int
    asker: str = ""
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Workload:
    """Machines and how requests for them are drawn; *odd* is the machine that one would look at."""

    name: str
    what: str
    machines: tuple[Machine, ...]
    odd: str
    draw: Callable[[Random, Sequence[Machine], int], list[Arrival]]


def capacity(machines: Sequence[Machine], prompt: float, answer: float) -> float:
    """Return how many requests of such lengths, in tokens, *machines* can serve in a second, nothing held."""

    def one(machine: Machine) -> float:
        slower = 1.0 + SLOPE * (machine.slots - 1)
        return min(machine.prefill / prompt, machine.slots * machine.decode / slower / answer)

    return sum(one(machine) for machine in machines if not machine.fails)


def text(dice: Random, tokens: int) -> str:
    """Return a text of so many tokens that begins like no other."""
    word = f"{dice.getrandbits(64):016x}"
    return (word * (tokens * CHARACTERS // len(word) + 1))[: tokens * CHARACTERS]


def poisson(dice: Random, rate: float, count: int, *, burst: float = 1.0) -> Iterator[float]:
    """Yield *count* times of arrival; in the first ten of every sixty seconds the rate is *burst* times as high."""
    now = 0.0
    for _ in range(count):
        now += dice.expovariate(rate * (burst if now % _PERIOD < _BURST else 1.0))
        yield now


def plain(prompt: int, answer: int, *, sigma: float, burst: float = 1.0) -> Callable[..., list[Arrival]]:
    """Draw requests that have nothing in common, of log-normal lengths with these medians and this sigma."""
    mean = math.exp(sigma * sigma / 2)

    def length(dice: Random, median: int, most: int) -> int:
        return min(max(round(median * dice.lognormvariate(0.0, sigma)), 1), most)

    def draw(dice: Random, machines: Sequence[Machine], count: int) -> list[Arrival]:
        rate = LOAD * capacity(machines, prompt * mean, answer * mean) / (1.0 + (burst - 1.0) * _BURST / _PERIOD)
        return [
            Arrival(at, text(dice, length(dice, prompt, 6000)), length(dice, answer, 1000))
            for at in poisson(dice, rate, count, burst=burst)
        ]

    return draw


def tenants(*, prompt: int, answer: int) -> Callable[..., list[Arrival]]:
    """Draw a modest tenant, who is counted, beside one who asks for as much at once as there is for a minute."""

    def draw(dice: Random, machines: Sequence[Machine], count: int) -> list[Arrival]:
        rate = capacity(machines, prompt, answer)
        flood = [Arrival(5.0, text(dice, prompt), answer, "greedy", counted=False) for _ in range(round(60 * rate))]
        modest = [Arrival(at, text(dice, prompt), answer, "modest") for at in poisson(dice, 0.3 * rate, count)]
        return sorted([*flood, *modest])

    return draw


def shared(*, beginnings: int, beginning: int, rest: int, answer: int) -> Callable[..., list[Arrival]]:
    """Draw requests that begin like others: the k-th of the *beginnings* is as popular as 1/k (Zipf)."""

    def draw(dice: Random, machines: Sequence[Machine], count: int) -> list[Arrival]:
        heads = [text(dice, beginning) for _ in range(beginnings)]
        popular = [1.0 / rank for rank in range(1, beginnings + 1)]
        rate = LOAD * capacity(machines, beginning * 0.4 + rest, answer)  # as if six in ten were held somewhere
        return [
            Arrival(at, dice.choices(heads, popular)[0] + text(dice, rest), answer) for at in poisson(dice, rate, count)
        ]

    return draw


def chats(*, turns: int, system: int, turn: int, answer: int) -> Callable[..., list[Arrival]]:
    """Draw conversations behind a few system prompts; each turn sends all before it, and comes some seconds later."""

    def draw(dice: Random, machines: Sequence[Machine], count: int) -> list[Arrival]:
        heads = [text(dice, system) for _ in range(4)]
        rate = LOAD * capacity(machines, system * 0.2 + turn, answer) / turns
        arrivals: list[Arrival] = []
        for began in poisson(dice, rate, count // turns):
            said, at = dice.choices(heads, [1.0, 1 / 2, 1 / 3, 1 / 4])[0], began
            for _ in range(turns):
                said += text(dice, turn)
                arrivals.append(Arrival(at, said, answer))
                at += 8.0 + dice.expovariate(1 / 6.0)
        return sorted(arrivals)

    return draw


WORKLOADS = (
    Workload("even, short", "3 equal machines, prompts of 200 tokens", EVEN, "c", plain(200, 64, sigma=0.0)),
    Workload("even, mixed", "lengths log-normal, sigma 1.2", EVEN, "c", plain(300, 64, sigma=1.2)),
    Workload("uneven", "speeds 1:2:8, sigma 0.8", UNEVEN, "1x", plain(300, 64, sigma=0.8)),
    Workload(
        "uneven, shared", "speeds 1:2:8, 12 system prompts of 1500 tokens", UNEVEN, "1x",
        shared(beginnings=12, beginning=1500, rest=100, answer=64),
    ),
    Workload("uneven, bursts", "speeds 1:2:8, 10 s in 60 five times as many", UNEVEN, "1x",
        plain(300, 64, sigma=0.8, burst=5.0)),
    Workload("chats", "5 turns behind 4 system prompts", EVEN, "c", chats(turns=5, system=800, turn=150, answer=64)),
    Workload(
        "documents", "8 documents of 4000 tokens, 16k tokens of memory each", EVEN, "c",
        shared(beginnings=8, beginning=4000, rest=50, answer=64),
    ),
    Workload("slow link", "one of 3 is 0.8 s away", (*EVEN[:2], replace(EVEN[2], rtt=0.8)), "c",
        plain(300, 64, sigma=0.8)),
    Workload("grey failure", "one of 3 is a fifth slower", (*EVEN[:2], EVEN[2].times(0.8, "c")), "c",
        plain(300, 64, sigma=0.8)),
    Workload("black hole", "one of 4 fails within 2 ms", (*EVEN, Machine("x", fails=True)), "x",
        plain(300, 64, sigma=0.8)),
    Workload("greedy tenant", "a modest one beside one who floods; figures are the modest one's", EVEN, "c",
        tenants(prompt=300, answer=64)),
    Workload("death", "one of 3 is down from second 60 to 90", (*EVEN[:2], replace(EVEN[2], dies=60.0, returns=90.0)),
        "c", plain(300, 64, sigma=0.8)),
)  # fmt: skip
