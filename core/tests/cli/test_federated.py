from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

Gateway = Callable[..., subprocess.CompletedProcess[str]]


def test_help_says_where_nodes_come_from(gateway: Gateway) -> None:
    """Flags, the variable, the configuration and what is discovered."""
    done = gateway("federated", "--help")
    assert done.returncode == 0
    assert "GATEWAY_NODES" in done.stdout
    assert "--node URL" in done.stdout
    assert "--model" not in done.stdout


def test_a_node_that_is_no_url_is_a_fault(gateway: Gateway, home: Path) -> None:
    """It is told at once, with what was expected, and nothing of a password in it."""
    for node in ("nowhere", "http://me:sesame@h"):
        done = gateway("federated", "--node", node, "--listen", "127.0.0.1:0", "--state-dir", str(home / "state"))
        assert done.returncode == 2
        assert "error: url: " in done.stderr
        assert "sesame" not in done.stderr
        assert "Traceback" not in done.stderr


def test_the_demo_is_not_opened(gateway: Gateway, home: Path) -> None:
    """What configures a local model wrongly does not matter, for none is opened."""
    home.joinpath("gateway.toml").write_text(
        '[gateway]\npeer_backend = "none"\n[[backend]]\nuse = "llamacpp"\nmodel = "no.gguf"\n'
    )
    done = gateway("federated")
    assert done.returncode == 2
    assert "peer_backend" in done.stderr
    assert "no.gguf" not in done.stderr
