"""Plays the scenes of a client, and prints what came of each as one line of JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from typing import Any


def play(scenes: Iterable[Callable[[], Any]], *, default: Callable[[Any], Any] | None = None, **facts: Any) -> None:
    """Do all *scenes*; what raises is told, not hidden.  *facts* come first; *default* is :func:`json.dumps`'s.

    The line has one to itself, whatever a library printed before.
    """
    told = dict(facts)
    for scene in scenes:
        try:
            told[scene.__name__] = scene()
        except Exception as error:  # noqa: BLE001 - the test shows it
            told[scene.__name__] = {"raised": repr(error)}
    sys.stdout.write("\n" + json.dumps(told, default=default) + "\n")
