from __future__ import annotations

import platform
import subprocess
from collections.abc import Callable
from importlib.metadata import version

import msgspec
import pytest

Gateway = Callable[..., subprocess.CompletedProcess[str]]


def test_version_names_everything_that_matters(gateway: Gateway) -> None:
    """Gateway, Python, plugins, and llama-cpp-python, installed or not."""
    facts = msgspec.json.decode(gateway("version", "--json").stdout)
    assert facts["gateway"] == version("swarmgate-core")
    assert facts["python"] == platform.python_version()
    assert facts["plugins"]["swarmgate-balancer-round-robin"] == version("swarmgate-balancer-round-robin")
    assert "llama_cpp_python" in facts
    rows = [line.split()[0] for line in gateway("version").stdout.splitlines()]
    assert rows[:3] == ["gateway", "python", "llama-cpp-python"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_for_the_command(gateway: Gateway, shell: str) -> None:
    """Each shell gets a script that asks gateway itself."""
    done = gateway("completion", shell)
    assert done.returncode == 0
    assert "_GATEWAY_COMPLETE" in done.stdout


def test_completion_knows_the_verbs(gateway: Gateway) -> None:
    """What the script asks is answered."""
    done = gateway(_GATEWAY_COMPLETE="bash_complete", COMP_WORDS="gateway plug", COMP_CWORD="1")
    assert done.stdout == "plain,plugins\n"
