"""How evenly several who ask are served.  Pure.

R. Jain, D. Chiu, W. Hawe, "A Quantitative Measure of Fairness and Discrimination for Resource Allocation in Shared
Computer Systems", DEC-TR-301, 1984; max-min shares as in A. Demers, S. Keshav, S. Shenker, "Analysis and Simulation of
a Fair Queueing Algorithm", SIGCOMM 1989.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def jain(values: Sequence[float]) -> float:
    """Return ``(sum x)^2 / (n * sum x^2)``: 1 if all are equal, 1/n if one has everything; 1 for none at all."""
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else 1.0


def max_min(demands: Mapping[str, float], supply: float) -> dict[str, float]:
    """Return the max-min fair share of each: nobody gets more than asked for, and nobody less for another's sake.

    Of what is left after those who ask for least, everybody else gets the same.
    """
    shares: dict[str, float] = {}
    for number, key in enumerate(sorted(demands, key=lambda key: demands[key])):
        shares[key] = min(demands[key], supply / (len(demands) - number))
        supply -= shares[key]
    return shares


def fairness(served: Mapping[str, float], demands: Mapping[str, float]) -> float:
    """Return Jain's index of what each was *served*, over their max-min fair share of all that was."""
    fair = max_min(demands, sum(served.values()))
    return jain([served.get(key, 0.0) / share for key, share in fair.items() if share > 0.0])
