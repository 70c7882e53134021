from __future__ import annotations

import msgspec
import pytest
from swarmgate_transport_libp2p.child.mended.limits import Limits


def test_the_usual_limits_keep_the_swarms_bounds() -> None:
    """Silence ends a connection within five seconds and after at least two pings; memory per stream is a megabyte."""
    limits = Limits()
    assert 2 * limits.ping < limits.silence <= 4.5
    assert limits.window == 1024 * 1024


@pytest.mark.parametrize("fault", [{"window": 1000}, {"connections": 0}, {"silence": 0}, {"dial": -1.0}])
def test_senseless_limits_are_refused(fault: dict[str, float]) -> None:
    """A window below yamux' own, or nothing at all of anything, is refused when it is read."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(fault, Limits)
