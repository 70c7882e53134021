"""How requests are drawn from dice: lengths, beginnings that are shared, and who sends when.  Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple, Protocol

from virtual.nodes import CHARACTERS, SLOPE, Machine

#: Bursts last so many seconds of so many.
_BURST, _PERIOD = 10.0, 60.0
#: No prompt and no answer is longer, in tokens.
_PROMPT, _ANSWER = 6000, 1000
#: Clients of a closed loop send at least so many requests each.
_LEAST = 8


class Request(NamedTuple):
    """One request: its prompt, how many tokens its answer has, and how long its client pauses before it, in seconds.

    The pause is counted from the end of the client's answer before, and for the first one from the start of the trial.
    """

    prompt: str
    tokens: int
    pause: float


class Client(NamedTuple):
    """Requests that are sent one after the other, each when the one before is answered or has failed.

    *asker* is whose key they carry.  What comes of those that are not *counted* is in no figure but fairness.
    """

    requests: tuple[Request, ...]
    asker: str = ""
    counted: bool = True


class Draw(Protocol):
    """A way to draw the clients of a trial."""

    def clients(self, dice: Random, machines: Sequence[Machine], count: int, load: float) -> list[Client]:
        """Return who sends about *count* requests that count, *load* of what *machines* can do (1 is all of it)."""
        ...


def capacity(machines: Sequence[Machine], prompt: float, answer: float) -> float:
    """Return how many requests of such lengths, in tokens, *machines* can serve in a second, nothing held."""

    def one(machine: Machine) -> float:
        slower = 1.0 + SLOPE * (machine.slots - 1)
        return min(machine.prefill / prompt, machine.slots * machine.decode / slower / answer)

    return sum(one(machine) for machine in machines if not machine.fails)


def text(dice: Random, tokens: int) -> str:
    """Return a text of so many tokens that begins like no other."""
    return repeated(f"{dice.getrandbits(64):016x}", tokens)


def repeated(word: str, tokens: int) -> str:
    """Return *word* again and again, so many tokens of it."""
    return (word * (tokens * CHARACTERS // len(word) + 1))[: tokens * CHARACTERS]


def poisson(dice: Random, rate: float, count: int, *, burst: float = 1.0) -> Iterator[float]:
    """Yield *count* times of arrival; in the first ten of every sixty seconds the rate is *burst* times as high."""
    now = 0.0
    for _ in range(count):
        now += dice.expovariate(rate * (burst if now % _PERIOD < _BURST else 1.0))
        yield now


@dataclass(frozen=True, slots=True)
class Lengths:
    """Log-normal lengths of prompts and answers, in tokens: their medians, and the sigma of both."""

    prompt: int
    answer: int
    sigma: float = 0.0

    def draw(self, dice: Random) -> tuple[int, int]:
        """Return the lengths of one request, within bounds."""
        prompt = _within(self.prompt * dice.lognormvariate(0.0, self.sigma), _PROMPT)
        return prompt, _within(self.answer * dice.lognormvariate(0.0, self.sigma), _ANSWER)

    def capacity(self, machines: Sequence[Machine]) -> float:
        """Return how many such requests *machines* can serve in a second."""
        mean = math.exp(self.sigma * self.sigma / 2)
        return capacity(machines, self.prompt * mean, self.answer * mean)


@dataclass(frozen=True, slots=True)
class Strangers:
    """Requests that have nothing in common, an open loop: Poisson, whatever becomes of the others."""

    lengths: Lengths
    burst: float = 1.0

    def clients(self, dice: Random, machines: Sequence[Machine], count: int, load: float) -> list[Client]:
        """Draw one client for each request; bursts leave the mean rate as it is."""
        rate = load * self.lengths.capacity(machines) / (1.0 + (self.burst - 1.0) * _BURST / _PERIOD)
        return [Client((_request(dice, self.lengths, at),)) for at in poisson(dice, rate, count, burst=self.burst)]


@dataclass(frozen=True, slots=True)
class Crowd:
    """A closed loop: so many clients, each of whom thinks for a while (exponential) and then asks again.

    Each has a key of its own.  The load is what they make of it.
    """

    size: int
    lengths: Lengths
    think: float

    def clients(self, dice: Random, machines: Sequence[Machine], count: int, load: float) -> list[Client]:
        """Draw the clients; each sends as many requests as the others."""
        each = max(count // self.size, _LEAST)
        return [
            Client(
                tuple(_request(dice, self.lengths, dice.expovariate(1 / self.think)) for _ in range(each)),
                asker=f"client {number}",
            )
            for number in range(self.size)
        ]


@dataclass(frozen=True, slots=True)
class Tenants:
    """A modest tenant, who is counted, beside one who asks for as much at once as there is for a minute."""

    lengths: Lengths

    def clients(self, dice: Random, machines: Sequence[Machine], count: int, load: float) -> list[Client]:
        """Draw both; the modest one asks for so much of the machines, an open loop."""
        rate = self.lengths.capacity(machines)
        flood = [Client((_request(dice, self.lengths, 5.0),), "greedy", counted=False) for _ in range(round(60 * rate))]
        times = poisson(dice, load * rate, count)
        return [*flood, *(Client((_request(dice, self.lengths, at),), "modest") for at in times)]


@dataclass(frozen=True, slots=True)
class Shared:
    """Requests that begin like others, an open loop: the k-th of the *beginnings* is as popular as 1/k (Zipf)."""

    beginnings: int
    beginning: int
    rest: int
    answer: int

    def clients(self, dice: Random, machines: Sequence[Machine], count: int, load: float) -> list[Client]:
        """Draw one client for each request; machines are taken to hold six in ten tokens of the beginnings."""
        heads = [text(dice, self.beginning) for _ in range(self.beginnings)]
        popular = [1.0 / rank for rank in range(1, self.beginnings + 1)]
        rate = load * capacity(machines, self.beginning * 0.4 + self.rest, self.answer)
        return [
            Client((Request(dice.choices(heads, popular)[0] + text(dice, self.rest), self.answer, at),))
            for at in poisson(dice, rate, count)
        ]


@dataclass(frozen=True, slots=True)
class Chats:
    """Conversations behind four system prompts (Zipf); each turn sends all before it, a while after the answer.

    Conversations begin as they like (Poisson), their turns are closed loops: the usual mixture.
    """

    turns: int
    system: int
    turn: int
    answer: int

    def clients(self, dice: Random, machines: Sequence[Machine], count: int, load: float) -> list[Client]:
        """Draw one client for each conversation; machines are taken to hold eight in ten tokens of system prompts."""
        heads = [text(dice, self.system) for _ in range(4)]
        rate = load * capacity(machines, self.system * 0.2 + self.turn, self.answer) / self.turns
        found: list[Client] = []
        for began in poisson(dice, rate, count // self.turns):
            said, pause, requests = dice.choices(heads, [1.0, 1 / 2, 1 / 3, 1 / 4])[0], began, list[Request]()
            for _ in range(self.turns):
                said += text(dice, self.turn)
                requests.append(Request(said, self.answer, pause))
                pause = 4.0 + dice.expovariate(1 / 6.0)
            found.append(Client(tuple(requests)))
        return found


def _request(dice: Random, lengths: Lengths, pause: float) -> Request:
    prompt, answer = lengths.draw(dice)
    return Request(text(dice, prompt), answer, pause)


def _within(length: float, most: int) -> int:
    return min(max(round(length), 1), most)
