"""A swarm for benchmarks: its token, and what a member's configuration says to stay on loopback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def new_swarm(folder: Path) -> Path:
    """Make a swarm whose owner's state is in *folder*, and return the file with its token."""
    gateway = str(Path(sys.executable).with_name("gateway"))
    subprocess.run([gateway, "token", "new", "--state-dir", str(folder)], check=True, capture_output=True)
    return folder / "swarm.token"


def found_by_mdns() -> str:
    """Return the tables of a member that finds others by multicast DNS and reaches them by TLS, without libp2p."""
    return (
        '[[transport]]\nuse = "tls"\nlisten = "127.0.0.1:0"\nannounce = ["127.0.0.1"]\n[ledger]\nuse = "memory"\n'
        '[[discovery]]\nuse = "mdns"\ninterfaces = ["127.0.0.1"]\n'
    )
