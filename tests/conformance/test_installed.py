"""Every installed plugin, whoever wrote it, run through the contract of plugins."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest
from swarmgate.testing import PluginContract


class TestInstalled(PluginContract):
    @pytest.fixture(autouse=True, params=sorted({point.name for point in entry_points(group="swarmgate.plugins")}))
    def _each(self, request: pytest.FixtureRequest) -> None:
        self.plugin = str(request.param)
