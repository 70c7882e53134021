"""The ``gateway`` command.  Its verbs are imported when they are used, for ``--help`` has to be quick."""

from __future__ import annotations

from swarmgate.cli.gateway import main

__all__ = ["main"]
