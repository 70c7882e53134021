"""What libp2p asks for and no member needs: NIST's P-256 curve.

py-libp2p imports ``fastecdsa``, for peers whose keys are ECDSA.  Members' are Ed25519, all others are turned away in
the hello.  For most Pythons it has no wheel, and to compile it one has to install GMP's headers first: so we do
without it.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from types import ModuleType
from typing import Any

_NAMES = ("fastecdsa", "fastecdsa.curve", "fastecdsa.keys", "fastecdsa.point", "fastecdsa.encoding")
_ENCODINGS = ("fastecdsa.encoding.sec1", "fastecdsa.encoding.util")


class Lacking:
    """Whatever is asked of a curve that is not there."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError("keys on the curve P-256 are not supported here: members have Ed25519 keys")


class _Curves(ModuleType):
    """A module in which everything is lacking."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Lacking


def stand_in() -> None:
    """Have libp2p find modules where it looks for ``fastecdsa``, if that is not installed; imports nothing."""
    if find_spec("fastecdsa") is not None:
        return
    for name in (*_NAMES, *_ENCODINGS):
        module = sys.modules[name] = _Curves(name)
        module.__path__ = []
        parent, _, last = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], last, module)
