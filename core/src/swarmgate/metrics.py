"""What is counted, in Prometheus' units and under names that dashboards can rely on.

Labels take few values: a route is a path's template, a model one that is served (or empty), a
code an HTTP status.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import anyio.to_thread
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from swarmgate.chat import ModelCard, Usage
from swarmgate.nouns import Health

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
#: Codes from here on are the server's fault; they compare as texts.
_FAILURES = "500"
_TOKEN_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5)


class Standing(Protocol):
    """What can be asked at any time about the models served; the dispatcher can."""

    def models(self) -> tuple[ModelCard, ...]:
        """Return the cards of the models served."""
        ...

    def health(self, model: str | None = None) -> Health:
        """Return whether *model* could be answered now."""
        ...

    def waiting(self, model: str) -> int:
        """Return how many requests wait for *model*."""
        ...

    def running(self, model: str) -> int:
        """Return how many requests for *model* are being answered."""
        ...


@dataclass(frozen=True, slots=True)
class Totals:
    """What was counted of answers by models up to now.

    *failed* of the *requests* ended with an error of the gateway's or an engine's; *first_seconds* is the sum of the
    seconds until the first piece of *first_count* answers.
    """

    requests: int = 0
    failed: int = 0
    first_seconds: float = 0.0
    first_count: int = 0


class Metrics:
    """The gateway's counters and histograms, in a registry of their own."""

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry()
        disable_created_metrics()  # a series more for each, that nobody asked for
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)
        info = Gauge("gateway_build_info", "Always 1; the label says what runs.", ["version"], registry=self.registry)
        info.labels(version).set(1)
        self._requests = self._counter("gateway_requests", "Requests answered.", "route", "model", "code")
        self._inflight = Gauge("gateway_inflight_requests", "Requests being answered.", registry=self.registry)
        self._duration = self._histogram(
            "gateway_request_duration_seconds", "From head to last byte.", "route", "model"
        )
        self._queued = self._histogram("gateway_queue_wait_seconds", "Waiting for a slot.", "model")
        self._first = self._histogram("gateway_ttft_seconds", "Until the first piece of an answer.", "model")
        self._per_token = self._histogram(
            "gateway_tpot_seconds", "Per token after the first.", "model", buckets=_TOKEN_SECONDS
        )
        self._tokens = self._counter("gateway_tokens", "Tokens read and written.", "kind", "model")
        self._prefix_hits = self._counter(
            "gateway_prefix_hit_tokens", "Prompt tokens that needed no computing.", "model"
        )
        self._retries = self._counter("gateway_retries", "Attempts after the first.", "model")
        self._resumes = self._counter("gateway_resumes", "Begun answers that went on elsewhere.", "trigger", "result")
        self._hangs = self._counter("gateway_hangs", "Attempts given up because nothing came of them.", "model")
        self._hedges = self._counter("gateway_hedges", "Attempts beside one that was silent for too long.", "model")
        self._truncated = self._counter("gateway_streams_truncated", "Streams that ended with an error.", "model")

    def __repr__(self) -> str:
        return f"<Metrics {len(list(self.registry.collect()))} families>"

    def watch(self, standing: Standing) -> None:
        """Report the queue, the slots and the readiness of *standing* at each scrape."""
        self.registry.register(_StandingCollector(standing))

    def watch_shadow(self, counts: Mapping[bool, int]) -> None:
        """Report at each scrape how often the shadow balancer agreed (True), and how often not (False)."""
        self.registry.register(_ShadowCollector(counts))

    def began(self) -> None:
        """Count a request as in flight."""
        self._inflight.inc()

    def ended(self, *, route: str, model: str, code: int, seconds: float) -> None:
        """Count a request as answered, or given up by its client (code 499)."""
        self._inflight.dec()
        self._requests.labels(route, model, str(code)).inc()
        self._duration.labels(route, model).observe(seconds)

    def attempted(
        self, model: str, *, queue_seconds: float, attempts: int, resumed: int, hung: int, hedged: int, failed: bool
    ) -> None:
        """Count what the dispatcher went through for one answer."""
        self._queued.labels(model).observe(queue_seconds)
        if attempts > 1:
            self._retries.labels(model).inc(attempts - 1)
        if hung:
            self._hangs.labels(model).inc(hung)
        if hedged:
            self._hedges.labels(model).inc(hedged)
        if resumed:
            self._resumes.labels("crash", "failed" if failed else "resumed").inc(resumed)

    def wrote(self, model: str, usage: Usage, *, first_seconds: float, rest_seconds: float) -> None:
        """Count an answer's tokens, when the first piece came, and how long the rest took."""
        self._tokens.labels("prompt", model).inc(usage.prompt_tokens)
        self._tokens.labels("completion", model).inc(usage.completion_tokens)
        self._prefix_hits.labels(model).inc(usage.cached_tokens)
        self._first.labels(model).observe(first_seconds)
        if usage.completion_tokens > 1:
            self._per_token.labels(model).observe(rest_seconds / (usage.completion_tokens - 1))

    def truncated(self, model: str) -> None:
        """Count a stream that had begun and ended with an error."""
        self._truncated.labels(model).inc()

    def totals(self) -> Totals:
        """Return the sums over all models."""
        requests, failed, first_seconds, first_count = 0.0, 0.0, 0.0, 0.0
        for sample in _samples(self._requests):
            if sample.name.endswith("_total") and sample.labels["model"]:
                requests += sample.value
                failed += sample.value if sample.labels["code"] >= _FAILURES else 0.0
        for sample in _samples(self._first):
            first_seconds += sample.value if sample.name.endswith("_sum") else 0.0
            first_count += sample.value if sample.name.endswith("_count") else 0.0
        return Totals(round(requests), round(failed), first_seconds, round(first_count))

    async def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        # What the kernel knows of the process is read from files, and so not in the loop.
        process = await anyio.to_thread.run_sync(generate_latest, self._process)
        return generate_latest(self.registry) + process

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(name, help_text, labels, registry=self.registry)

    def _histogram(self, name: str, help_text: str, *labels: str, buckets: tuple[float, ...] = _SECONDS) -> Histogram:
        return Histogram(name, help_text, labels, registry=self.registry, buckets=buckets)


def _samples(metric: Collector) -> Iterator[Sample]:
    for family in metric.collect():
        yield from family.samples


class _StandingCollector(Collector):
    """Asks at each scrape, so that nobody has to keep gauges up to date."""

    def __init__(self, standing: Standing) -> None:
        self._standing = standing

    def collect(self) -> Iterator[GaugeMetricFamily]:
        standing, cards = self._standing, self._standing.models()
        yield _family("gateway_queue_depth", "Requests that wait for a slot.", cards, standing.waiting)
        ready = _family(
            "gateway_model_ready", "Whether the model could answer.", cards, lambda name: standing.health(name).ready
        )
        yield ready
        slots = GaugeMetricFamily(
            "gateway_worker_slots", "Answers a model can write at once.", labels=["model", "state"]
        )
        for card in cards:
            busy = min(standing.running(card.name), card.slots)
            slots.add_metric([card.name, "busy"], busy)
            slots.add_metric([card.name, "free"], card.slots - busy)
        yield slots


class _ShadowCollector(Collector):
    def __init__(self, counts: Mapping[bool, int]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[CounterMetricFamily]:
        what = "Picks of which the shadow balancer would have made the same, or another."
        family = CounterMetricFamily("gateway_balancer_shadow", what, labels=["agrees"])
        for agrees, count in self._counts.items():
            family.add_metric([str(agrees).lower()], count)
        yield family


def _family(
    name: str, help_text: str, cards: Iterable[ModelCard], measure: Callable[[str], float]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, help_text, labels=["model"])
    for card in cards:
        family.add_metric([card.name], measure(card.name))
    return family
