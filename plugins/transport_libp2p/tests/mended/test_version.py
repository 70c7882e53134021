from __future__ import annotations

from importlib.metadata import version

import pytest
from swarmgate.api import PluginError
from swarmgate_transport_libp2p.child.mended.version import FITS, require_fitting


def test_the_pinned_version_fits() -> None:
    """The libp2p that is installed is the one whose faults are mended."""
    assert version("libp2p") == FITS
    require_fitting()


def test_another_version_is_refused() -> None:
    """Any other version is refused, with both versions and the remedy."""
    with pytest.raises(PluginError, match=r"libp2p 0\.9\.0 is installed.*install libp2p==0\.8\.1"):
        require_fitting("0.9.0")
