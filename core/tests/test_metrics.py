from __future__ import annotations

from swarmgate.chat import Usage
from swarmgate.metrics import Metrics, Totals


def test_totals_are_sums_over_models() -> None:
    """Of what asked a model; what failed by the server's fault is counted apart, and so is the time to first pieces."""
    metrics = Metrics("1")
    assert metrics.totals() == Totals()
    for model, code in (("a", 200), ("b", 200), ("b", 502), ("b", 404), ("", 500)):
        metrics.began()
        metrics.ended(route="/v1/x", model=model, code=code, seconds=1.0)
    for model in ("a", "b"):
        metrics.wrote(model, Usage(completion_tokens=3), first_seconds=0.5, rest_seconds=1.0)
    assert metrics.totals() == Totals(requests=4, failed=1, first_seconds=1.0, first_count=2)
