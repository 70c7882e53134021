"""What every plugin must do, as tests; each looks at it as the gateway would, by its entry point."""

from __future__ import annotations

import subprocess
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import msgspec
import pytest

from swarmgate import plugins
from swarmgate.api import Options
from swarmgate.plugins import Entry
from swarmgate.testing.makers import a_context

#: What takes long to import, or may not be imported into the gateway's process at all.
HEAVY = ("aiohttp", "libp2p", "litestar", "llama_cpp", "numpy", "torch", "trio", "uvicorn", "zeroconf")

_LOOK = """
import sys
from importlib.metadata import entry_points
module, = entry_points(group="swarmgate.plugins", name=sys.argv[1])
module = module.load()
for name in dir(module):
    if name.startswith("swarmgate_") and name != "swarmgate_commands" and callable(getattr(module, name)):
        getattr(module, name)()
print(*sorted(set(sys.argv[2:]) & set(sys.modules)))
"""


class PluginContract:
    """Runs an installed plugin, named by its entry point, through the house rules."""

    plugin: str

    @pytest.fixture
    def entries(self) -> list[Entry]:
        """Return the parts the plugin brings."""
        catalogue = plugins.load()
        assert self.plugin not in catalogue.broken, catalogue.broken[self.plugin]
        return [entry for entry in catalogue if entry.plugin == self.plugin]

    def test_brings_something(self, entries: list[Entry]) -> None:
        """A plugin that offers no part is not one."""
        assert entries

    def test_parts_are_described(self, entries: list[Entry]) -> None:
        """Names are in lower case; summaries are one sentence."""
        for entry in entries:
            name, summary = entry.part.name, entry.part.summary
            assert name == name.lower()
            assert summary == summary.strip()
            assert summary.endswith(".")
            assert "\n" not in summary

    def test_options_are_strict(self, entries: list[Entry]) -> None:
        """Options are immutable and refuse what they do not know."""
        for entry in entries:
            assert issubclass(entry.part.options, Options)
            config = entry.part.options.__struct_config__
            assert config.frozen
            with pytest.raises(msgspec.ValidationError):
                msgspec.convert({"no_such_option": 1}, entry.part.options)

    def test_variables_name_options(self, entries: list[Entry]) -> None:
        """Every environment variable a part honours sets an option that exists."""
        for entry in entries:
            known = set(entry.part.options.__struct_encode_fields__)
            assert set(entry.part.environ.values()) <= known

    def test_openers_wait_to_be_entered(self, entries: list[Entry], tmp_path: Path) -> None:
        """Calling an opener gives a context manager; nothing is open before it is entered."""
        for entry in entries:
            try:
                options = entry.part.options()
            except TypeError:
                continue  # has options that must be given; its own tests open it
            opened = entry.part.open(options, a_context(tmp_path))
            assert isinstance(opened, AbstractAsyncContextManager), f"{entry.part.name}: decorate its opener"

    def test_loading_is_light(self) -> None:
        """Offering parts imports nothing heavy; that waits until one is opened."""
        done = subprocess.run(  # noqa: S603 -- this interpreter, our own words
            [sys.executable, "-c", _LOOK, self.plugin, *HEAVY], capture_output=True, text=True, check=False, timeout=50
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == []
