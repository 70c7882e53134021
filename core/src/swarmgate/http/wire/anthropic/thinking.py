"""Thoughts and their signatures: what a client shows of them, and what of it comes back.  Pure.

Anthropic signs thoughts so that nobody can put others in their place.  Here the conversation is the client's own
anyway, so a signature only has to carry what is not shown: with ``display`` "omitted" the thoughts themselves.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

#: What a signature begins with whose rest is the thoughts in base64.
_CARRIED = "swarmgate.text."
_SIGNED = "swarmgate.hash."


def signature(thoughts: str, *, shown: bool) -> str:
    """Return the signature of *thoughts*; of those that are not *shown* it brings them back."""
    if shown:
        return _SIGNED + base64.urlsafe_b64encode(hashlib.sha256(thoughts.encode()).digest()).decode()
    return _CARRIED + base64.urlsafe_b64encode(thoughts.encode()).decode()


def recalled(thinking: str, signed: str) -> str:
    """Return the thoughts of a block that a client passes back; others' signatures say nothing here."""
    if thinking or not signed.startswith(_CARRIED):
        return thinking
    try:
        return base64.urlsafe_b64decode(signed.removeprefix(_CARRIED)).decode()
    except (binascii.Error, ValueError):
        return ""
