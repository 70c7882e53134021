"""Imports without what is optional to them and of no use to us: a process that serves starts sooner, and is smaller."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def without(package: str) -> Generator[None]:
    """Have what is imported in the block take *package* for not installed, unless somebody has imported it already."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]  # how a module is marked as not to be had
    try:
        yield
    finally:
        del sys.modules[package]
