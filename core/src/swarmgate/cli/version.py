"""``gateway version``: what exactly is running here."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, entry_points
from importlib.metadata import version as version_of

import click

from swarmgate.cli.output import print_json, print_table
from swarmgate.cli.reading import json_option
from swarmgate.cli.verbs import examples
from swarmgate.plugins import GROUP


@click.command(epilog=examples("gateway version --json"))
@json_option
def version(as_json: bool) -> None:
    """Show the versions of the gateway, of Python, of the plugins and of llama-cpp-python."""
    plugins = {point.dist.name: point.dist.version for point in entry_points(group=GROUP) if point.dist}
    plugins.pop("swarmgate-core", None)
    gateway, engine = _installed("swarmgate-core"), _installed("llama-cpp-python")
    python = platform.python_version()
    if as_json:
        print_json({"gateway": gateway, "python": python, "llama_cpp_python": engine, "plugins": plugins})
        return
    rows = [
        ("gateway", gateway or "not installed"),
        ("python", python),
        ("llama-cpp-python", engine or "not installed"),
    ]
    print_table([*rows, *sorted(plugins.items())])


def _installed(distribution: str) -> str | None:
    """Return a distribution's version without importing it: that may take long."""
    try:
        return version_of(distribution)
    except PackageNotFoundError:
        return None
