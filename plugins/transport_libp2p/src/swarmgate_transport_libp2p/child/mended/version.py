"""Which py-libp2p the mended rooms fit: exactly the one whose faults were looked at."""

from __future__ import annotations

from importlib.metadata import version

from swarmgate.api import PluginError

FITS = "0.8.1"


def fits() -> bool:
    """Return whether the installed py-libp2p is the one that the mended rooms, and what is left out, were made for."""
    return version("libp2p") == FITS


def require_fitting(found: str | None = None) -> None:
    """Refuse another version than the one that the mended rooms were written and tested against.

    Raises:
        PluginError: the installed py-libp2p is another; *found* is its version when it was looked up already.

    """
    found = version("libp2p") if found is None else found
    if found != FITS:
        raise PluginError(
            f"libp2p {found} is installed, and its faults are mended for {FITS} alone: install libp2p=={FITS}, "
            "or run the tests of child/mended against the other version and raise FITS"
        )
