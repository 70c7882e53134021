from __future__ import annotations

import subprocess
import sys

import pytest


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


@pytest.mark.swarm
def test_libp2p_is_imported_without_the_curve() -> None:
    """Where fastecdsa is not installed, libp2p finds something in its place, and Ed25519 keys work."""
    said = run(
        "import swarmgate_transport_libp2p.child\n"
        "from libp2p.crypto.ed25519 import create_new_key_pair\n"
        "from libp2p import new_host\n"
        "print(len(create_new_key_pair(bytes(32)).public_key.to_bytes()))\n"
    )
    assert (said.returncode, said.stdout) == (0, "32\n"), said.stderr


@pytest.mark.swarm
def test_a_key_on_the_curve_is_refused_in_words() -> None:
    """Whoever has such a key, or wants one, is told that it is not supported, and not that a module is missing."""
    said = run(
        "import swarmgate_transport_libp2p.child\n"
        "from libp2p.crypto.ecc import create_new_key_pair\n"
        "create_new_key_pair('P-256')\n"
    )
    assert said.returncode == 1
    assert "NotImplementedError: keys on the curve P-256 are not supported here" in said.stderr
