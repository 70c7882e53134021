from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from swarmgate.chat import Usage
from swarmgate.metrics import Metrics

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
#: Of an expression in PromQL: a metric of ours, with what selects among its series and what it is grouped by.
_METRIC = re.compile(r"\b((?:gateway|process)_[a-z_]+)\b(?:\{([^}]*)\})?")
#: Labels that Prometheus adds, or that are of a histogram.
_ADDED = {"instance", "job", "le"}


@pytest.fixture(scope="module")
def exposed() -> dict[str, set[str]]:
    """The series a gateway shows once something of everything has happened, and the labels of each."""
    metrics = Metrics("1")
    metrics.watch(Standing())
    metrics.began()
    metrics.ended(route="/", model="m", code=200, seconds=1)
    metrics.attempted("m", queue_seconds=0, attempts=2, resumed=1, hung=1, hedged=1, failed=False)
    metrics.wrote("m", Usage(prompt_tokens=1, completion_tokens=2), first_seconds=1, rest_seconds=1)
    metrics.truncated("m")
    lines = asyncio.run(metrics.text()).decode().splitlines()
    found: dict[str, set[str]] = {}
    for line in lines:
        if match := re.match(r"([a-z_]+)(?:\{(.*)\})? ", line):
            found.setdefault(match[1], set()).update(re.findall(r'(\w+)="', match[2] or ""))
    return found


class Standing:
    """One model, ready."""

    def models(self) -> tuple[Any, ...]:
        from swarmgate.chat import ModelCard

        return (ModelCard(name="m"),)

    def health(self, model: str | None = None) -> Any:
        from swarmgate.nouns import Health

        return Health(ready=True)

    def waiting(self, model: str) -> int:
        return 0

    def running(self, model: str) -> int:
        return 0


def dashboard() -> list[str]:
    panels = json.loads((DEPLOY / "grafana.json").read_text(encoding="utf-8"))["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


def alerts() -> list[str]:
    text = (DEPLOY / "alerts.yaml").read_text(encoding="utf-8")
    return [match[1] for match in re.finditer(r"expr: (.*)", text)]


@pytest.mark.parametrize("expressions", [dashboard, alerts])
def test_what_is_drawn_and_watched_is_there(expressions: Callable[[], list[str]], exposed: dict[str, set[str]]) -> None:
    """Every metric of the dashboard and of the alerts is one that a gateway shows, with the labels asked for."""
    named = 0
    for expression in expressions():
        labels: set[str] = set()
        for metric, selectors in _METRIC.findall(expression):
            assert metric in exposed, expression
            assert set(re.findall(r'(\w+)=~?"', selectors)) <= exposed[metric] | _ADDED, expression
            labels |= exposed[metric]
            named += 1
        for group in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression):
            assert {name.strip() for name in group.split(",")} <= labels | _ADDED, expression
    assert named > 8


@pytest.mark.parametrize("name", ["Dockerfile", "compose.yaml", "swarmgate.service", "swarmgate-worker.service"])
def test_its_variables_are_understood(name: str, root: Path) -> None:
    """Every variable that is set or advised is one of the reference's."""
    known = (root / "docs" / "config.md").read_text(encoding="utf-8")
    variables = set(re.findall(r"\b(?:GATEWAY|LOCALAI)_[A-Z0-9_]+", (DEPLOY / name).read_text(encoding="utf-8")))
    assert variables
    assert {each for each in variables if f"`{each}`" not in known} == set()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")
@pytest.mark.parametrize("name", ["swarmgate.service", "swarmgate-worker.service"])
def test_systemd_reads_its_units(name: str, tmp_path: Path) -> None:
    """The units are read without fault by systemd where what they start is installed."""
    unit = tmp_path / name
    unit.write_text(
        re.sub(
            r"^ExecStart=\S+", "ExecStart=/bin/true", (DEPLOY / name).read_text(encoding="utf-8"), flags=re.MULTILINE
        )
    )
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, [line for line in done.stderr.splitlines() if name in line]) == (0, [])


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed here")
def test_prometheus_reads_its_rules() -> None:
    """Its own tool accepts the alerts, and the configuration that loads them."""
    done = subprocess.run(
        ["promtool", "check", "config", DEPLOY / "prometheus.yaml"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
