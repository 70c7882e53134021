"""How many prompt tokens a step may take."""

from __future__ import annotations

from pathlib import Path

from swarmgate_backend_llamacpp.engine.pace import Pace
from swarmgate_backend_llamacpp.engine.processors import default_threads


def test_begins_carefully() -> None:
    """Before anything is measured the budget is small, so that the first step is no surprise."""
    assert Pace(0.1, 0.5, 512).budget(0) == 64
    assert Pace(0.1, 0.5, 32).budget(3) == 32


def test_learns_what_a_prompt_token_costs() -> None:
    """At two milliseconds a token a tenth of a second is fifty tokens, and half a second the limit allows more."""
    pace = Pace(0.1, 0.5, 512)
    for _ in range(20):
        pace.measured(prompt=100, writing=0, seconds=0.2)
    assert pace.budget(4) == 50
    assert pace.budget(0) == 250


def test_does_not_blame_prompts_for_the_answers_beside_them() -> None:
    """The cost of a plain step is taken off before the prompt's share is learnt."""
    pace = Pace(0.1, 0.5, 512)
    for _ in range(20):
        pace.measured(prompt=0, writing=4, seconds=0.08)
        pace.measured(prompt=50, writing=4, seconds=0.18)
    assert pace.budget(4) == 50


def test_never_goes_below_a_least() -> None:
    """However slow the machine, prompts go on."""
    pace = Pace(0.1, 0.5, 512)
    pace.measured(prompt=64, writing=0, seconds=60.0)
    assert pace.budget(8) == 16


def test_threads_are_cores_less_one(tmp_path: Path) -> None:
    """Two threads of one core count once; one core is left to the gateway, but never none to the engine."""
    import os

    usable = sorted(os.sched_getaffinity(0))
    for number in usable:
        folder = tmp_path / f"cpu{number}" / "topology"
        folder.mkdir(parents=True)
        (folder / "physical_package_id").write_text("0")
        (folder / "core_id").write_text(str(number // 2))
    cores = len({number // 2 for number in usable})
    assert default_threads(tmp_path) == max(1, cores - 1)
    assert default_threads(tmp_path / "nowhere") == max(1, len(usable) - 1)
