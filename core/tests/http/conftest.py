from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from swarmgate.builtin import FirstFree
from swarmgate.contracts import Backend
from swarmgate.dispatch import Dispatcher
from swarmgate.http.door import Door, Limits
from swarmgate.metrics import Metrics

MakeDoor = Callable[..., Door]


@pytest.fixture
def make_door() -> MakeDoor:
    """Return a maker of doors to the backends it is given, with the limits it is given."""

    def make(*backends: Backend, **limits: Any) -> Door:
        dispatcher = Dispatcher(lambda: {f"b{number}": backend for number, backend in enumerate(backends)}, FirstFree())
        metrics = Metrics("1.2.3")
        metrics.watch(dispatcher)
        return Door(dispatcher, metrics, "1.2.3", Limits(**limits))

    return make
