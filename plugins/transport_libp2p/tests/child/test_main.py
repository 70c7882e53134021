from __future__ import annotations

import subprocess
import sys

import pytest
from swarmgate.api import encode_frame
from swarmgate_transport_libp2p.messages import Join

pytestmark = pytest.mark.swarm


def child(said: bytes) -> subprocess.CompletedProcess[bytes]:
    """Return what a child came to that was told so much and no more."""
    command = [sys.executable, "-m", "swarmgate_transport_libp2p.child"]
    return subprocess.run(command, input=said, capture_output=True, check=False, timeout=50)


def test_it_ends_with_its_stdin() -> None:
    """It never outlives the gateway, and leaves without a word."""
    done = child(b"")
    assert (done.returncode, done.stdout) == (0, b"")


def test_orders_before_its_begin_are_refused() -> None:
    """It cannot be anybody before it is told who to be."""
    done = child(encode_frame(Join()))
    assert done.returncode != 0
    assert b"expected Begin first, got Join" in done.stderr


def test_what_is_no_frame_ends_it() -> None:
    """It does not guess."""
    done = child(b"\xff\xff\xff\xff")
    assert done.returncode != 0
    assert b"announces 4294967295 bytes" in done.stderr
