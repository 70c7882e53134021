from __future__ import annotations

from collections.abc import Callable

from swarmgate.doctor.case import Case, Running


def test_a_case_is_what_was_known_beforehand(make_case: Callable[..., Case], running: Callable[..., Running]) -> None:
    """Nobody runs and nothing bars the way, unless it is said."""
    assert (make_case().running, make_case().barred) == (None, "")
    found = running()
    assert make_case(running=found).running is found
