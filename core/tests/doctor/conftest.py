from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from swarmgate.checks import Patient
from swarmgate.config.blueprint import Blueprint, Choice
from swarmgate.config.settings import Settings
from swarmgate.doctor.case import Case, Running
from swarmgate.http.wire.swarm import GatewayDocument, SwarmDocument
from swarmgate.plugins import Catalogue
from swarmgate.swarm.membership import Membership
from swarmgate.testing import a_context

MakeCase = Callable[..., Case]


def levels(findings: Any) -> list[tuple[str, str]]:
    """What was found, without the words."""
    return [(finding.level, finding.code) for finding in findings]


@pytest.fixture
def make_case(tmp_path: Path) -> MakeCase:
    """Make a case with the settings given, in a state folder of its own."""

    def make(*choices: Choice, running: Running | None = None, barred: str = "", **settings: Any) -> Case:
        given: dict[str, Any] = {"state_dir": str(tmp_path / "state"), "listen": "127.0.0.1:0", **settings}
        told = Settings(**given)
        return Case(Blueprint(settings=told, choices=choices), Catalogue({}), running, barred)

    return make


@pytest.fixture
def patient(tmp_path: Path) -> Callable[..., Patient]:
    """Make a patient, in a swarm if a membership is given."""

    def make(membership: Membership | None = None, **options: Any) -> Patient:
        context = a_context(tmp_path)
        context.membership = membership
        return Patient(context, options)

    return make


@pytest.fixture
def running() -> Callable[..., Running]:
    """Make a gateway that runs and says what is given."""

    def make(readiness: Any = None, **said: Any) -> Running:
        gateway = GatewayDocument(name="home", id="n0", version="1.2.3", uptime_seconds=7)
        given: dict[str, Any] = {"gateway": gateway, "models": [], "workers": [], **said}
        document = SwarmDocument(**given)
        return Running("http://127.0.0.1:1", document, readiness)

    return make


@pytest.fixture
def told() -> Callable[..., list[tuple[str, str]]]:
    """Reduce findings to level and code."""
    return levels
