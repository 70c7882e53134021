"""The workloads of the comparison: which machines there are, and what is asked of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from virtual.draws import Chats, Crowd, Draw, Lengths, Shared, Strangers, Tenants
from virtual.nodes import Machine

EVEN = tuple(Machine(name) for name in ("a", "b", "c"))
UNEVEN = tuple(Machine("").times(speed, f"{speed}x") for speed in (1, 2, 8))
#: How much of what the machines can do together is asked of them.
LOAD = 0.7
#: The shares of it that are tried one after the other, and the sizes of the crowds.
RATES = (0.3, 0.6, 0.9, 1.2)
CROWDS = (6, 12, 24, 48)
#: How long a client of a crowd thinks, on average, in seconds.
THINK = 5.0


@dataclass(frozen=True, slots=True)
class Workload:
    """Machines and how requests for them are drawn; *odd* is the machine that one would look at.

    Those of one *series* differ in nothing but their *level*, and are shown side by side.  Clients wait for a slot no
    longer than *patience*, in seconds; None is as long as it takes.
    """

    name: str
    what: str
    machines: tuple[Machine, ...]
    odd: str
    draw: Draw
    load: float = LOAD
    patience: float | None = None
    series: str = ""
    level: str = ""


_SHORT, _MIXED, _USUAL = Lengths(200, 64), Lengths(300, 64, sigma=1.2), Lengths(300, 64, sigma=0.8)

SINGLE = (
    Workload("even, short", "3 equal machines, prompts of 200 tokens, answers of 64", EVEN, "c", Strangers(_SHORT)),
    Workload("even, mixed", "lengths log-normal, sigma 1.2", EVEN, "c", Strangers(_MIXED)),
    Workload("uneven", "speeds 1:2:8, lengths log-normal, sigma 0.8", UNEVEN, "1x", Strangers(_USUAL)),
    Workload(
        "uneven, shared", "speeds 1:2:8, 12 system prompts of 1500 tokens (Zipf)", UNEVEN, "1x",
        Shared(beginnings=12, beginning=1500, rest=100, answer=64),
    ),
    Workload(
        "uneven, bursts", "speeds 1:2:8, in 10 s of 60 five times as many", UNEVEN, "1x", Strangers(_USUAL, burst=5.0),
    ),
    Workload(
        "chats", "5 turns behind 4 system prompts (Zipf), each some time after the answer before", EVEN, "c",
        Chats(turns=5, system=800, turn=150, answer=64),
    ),
    Workload(
        "documents", "8 documents of 4000 tokens (Zipf), 16k tokens of memory each", EVEN, "c",
        Shared(beginnings=8, beginning=4000, rest=50, answer=64),
    ),
    Workload(
        "slow link", "one of 3 is 0.8 s away", (*EVEN[:2], replace(EVEN[2], rtt=0.8)), "c", Strangers(_USUAL),
    ),
    Workload(
        "grey failure", "one of 3 is a fifth slower", (*EVEN[:2], EVEN[2].times(0.8, "c")), "c", Strangers(_USUAL),
    ),
    Workload(
        "lapses", "one of 3 writes a fifth of its answers five times as slowly",
        (*EVEN[:2], replace(EVEN[2], lapses=0.2)), "c", Strangers(_USUAL),
    ),
    Workload(
        "black hole", "one of 4 fails within 2 ms", (*EVEN, Machine("x", fails=True)), "x", Strangers(_USUAL),
    ),
    Workload(
        "death", "one of 3 is down from second 60 to 90", (*EVEN[:2], replace(EVEN[2], dies=60.0, returns=90.0)), "c",
        Strangers(_USUAL),
    ),
    Workload(
        "death, other weights", "one of 3 is gone from second 60 on, and no other can go on with its answers",
        (*EVEN[:2], replace(EVEN[2], dies=60.0, weights="others")), "c", Strangers(_USUAL),
    ),
    Workload(
        "join", "a fourth machine joins at second 60", (*EVEN, replace(EVEN[0], name="d", joins=60.0)), "d",
        Strangers(_USUAL), load=0.9,
    ),
    Workload(
        "greedy tenant", "a modest one at 0.3 beside one who floods; times are the modest one's", EVEN, "c",
        Tenants(Lengths(300, 64)), load=0.3,
    ),
    Workload(
        "impatient", "1.2 of what the machines can do, and nobody waits more than 5 s for a slot", EVEN, "c",
        Strangers(_USUAL), load=1.2, patience=5.0,
    ),
)  # fmt: skip


def rates(name: str, what: str, machines: tuple[Machine, ...], odd: str, draw: Draw) -> Iterable[Workload]:
    """Yield one workload for each of the rates."""
    for load in RATES:
        yield Workload(f"{name} at {load:g}", what, machines, odd, draw, load, series=name, level=f"{load:g}")


def crowds(name: str, what: str, machines: tuple[Machine, ...], odd: str, lengths: Lengths) -> Iterable[Workload]:
    """Yield one closed loop for each of the sizes."""
    for size in CROWDS:
        draw = Crowd(size, lengths, THINK)
        yield Workload(f"{name}, {size} clients", what, machines, odd, draw, series=name, level=f"{size} clients")


WORKLOADS = (
    *SINGLE,
    *rates("even, open", "open loop, lengths log-normal, sigma 0.8", EVEN, "c", Strangers(_USUAL)),
    *rates("uneven, open", "open loop, speeds 1:2:8", UNEVEN, "1x", Strangers(_USUAL)),
    *crowds("even, closed", "closed loop, 5 s of thinking", EVEN, "c", _USUAL),
    *crowds("uneven, closed", "closed loop, speeds 1:2:8", UNEVEN, "1x", _USUAL),
)
