from __future__ import annotations

import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

Gateway = Callable[..., subprocess.CompletedProcess[str]]
ECHO = '[[backend]]\nuse = "echo"\n'


def test_what_init_writes_check_accepts(gateway: Gateway, home: Path) -> None:
    """A new user's first two commands work, and nothing is written over unasked."""
    done = gateway("config", "init")
    assert done.returncode == 0
    assert "wrote gateway.toml" in done.stdout
    checked = gateway("config", "check")
    assert (checked.returncode, checked.stdout) == (0, "nothing is wrong with gateway.toml\n")
    home.joinpath("gateway.toml").write_text(ECHO)
    again = gateway("config", "init")
    assert (again.returncode, again.stderr) == (2, "error: gateway.toml is there already; --force writes over it\n")
    assert home.joinpath("gateway.toml").read_text() == ECHO
    assert gateway("config", "init", "--force").returncode == 0
    assert home.joinpath("gateway.toml").read_text() != ECHO


def test_init_makes_the_folders_it_needs(gateway: Gateway, home: Path) -> None:
    """The user's own configuration folder need not exist; a folder is given its gateway.toml."""
    assert gateway("config", "init", ".config/swarmgate/gateway.toml").returncode == 0
    home.joinpath("other").mkdir()
    assert gateway("config", "init", "other").returncode == 0
    assert tomllib.loads(home.joinpath("other/gateway.toml").read_text()) == {"gateway": {}}
    assert gateway("config", "init", "/proc/none/gateway.toml").returncode == 1


def test_check_tells_all_faults_and_has_status_two(gateway: Gateway, home: Path) -> None:
    """One run, all faults, each with its line, for people and for programs."""
    home.joinpath("gateway.toml").write_text('[gateway]\nnam = "x"\n[balancer]\nuse = "least_loded"\n' + ECHO)
    done = gateway("config", "check")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "gateway.toml:2: unknown option 'nam'; did you mean 'name'?",
        "gateway.toml:4: no balancer is called 'least_loded'; did you mean 'least_loaded'?",
    ]
    done = gateway("config", "check", "--json")
    assert done.returncode == 2
    assert msgspec.json.decode(done.stdout)["faults"][0] == {
        "source": "gateway.toml",
        "line": 2,
        "what": "unknown option 'nam'; did you mean 'name'?",
    }


def test_check_reads_the_named_file_alone(gateway: Gateway, home: Path) -> None:
    """By option or by variable; ./gateway.toml does not count then."""
    home.joinpath("gateway.toml").write_text("broken =")
    home.joinpath("other.toml").write_text(ECHO)
    done = gateway("config", "check", "-c", "other.toml", "--json")
    assert msgspec.json.decode(done.stdout) == {"ok": True, "files": ["other.toml"], "faults": []}
    assert gateway("config", "check", GATEWAY_CONFIG="other.toml").returncode == 0
    assert gateway("config", "check").returncode == 2


def test_show_says_where_each_value_comes_from(gateway: Gateway, home: Path) -> None:
    """Environment, ./gateway.toml, the user's file and defaults are told apart; a key is not shown."""
    user = home / ".config" / "swarmgate"
    user.mkdir(parents=True)
    user.joinpath("gateway.toml").write_text("[gateway]\nqueue_limit = 3\nname = 'far'\n")
    home.joinpath("gateway.toml").write_text("[gateway]\nname = 'near'\napi_keys = ['hunter2']\n" + ECHO)
    done = gateway("config", "show", "--json", GATEWAY_LISTEN="127.0.0.1:1", GATEWAY_BALANCER="round_robin")
    shown = msgspec.json.decode(done.stdout)
    settings = shown["settings"]
    assert settings["listen"] == {"value": "127.0.0.1:1", "origin": "GATEWAY_LISTEN"}
    assert settings["name"] == {"value": "near", "origin": "gateway.toml:2"}
    assert settings["queue_limit"] == {"value": 3, "origin": f"{user}/gateway.toml:2"}
    assert settings["log_level"] == {"value": "info", "origin": "default"}
    assert settings["api_keys"] == {"value": "***", "origin": "gateway.toml:3"}
    parts = {part["slot"]: part for part in shown["parts"]}
    assert (parts["balancer"]["part"], parts["balancer"]["origin"]) == ("round_robin", "GATEWAY_BALANCER")
    text = gateway("config", "show")
    assert tomllib.loads(text.stdout)["backend"][0]["use"] == "echo"
    assert "hunter2" not in done.stdout + done.stderr + text.stdout + text.stderr


@pytest.mark.parametrize(
    ("variables", "value", "origin"),
    [({}, "local", "gateway.toml:2"), ({"GATEWAY_PLACEMENT": "split"}, "split", "GATEWAY_PLACEMENT")],
)
def test_show_says_where_models_go_and_who_said_so(
    gateway: Gateway, home: Path, variables: dict[str, str], value: str, origin: str
) -> None:
    """The placement of all models is a setting like any other."""
    home.joinpath("gateway.toml").write_text('[gateway]\nplacement = "local"\n' + ECHO)
    shown = msgspec.json.decode(gateway("config", "show", "--json", **variables).stdout)
    assert shown["settings"]["placement"] == {"value": value, "origin": origin}


def test_show_of_a_faulty_configuration_is_an_error(gateway: Gateway) -> None:
    """There is nothing to show; the faults are told."""
    done = gateway("config", "show", "-c", "none.toml")
    assert done.returncode == 2
    assert done.stderr == "error: none.toml: there is no such file; `gateway config init` writes one\n"


@pytest.mark.parametrize("verb", [["config", "manual"], ["config", "--help"]])
def test_what_needs_no_configuration_works_with_a_broken_one(gateway: Gateway, home: Path, verb: list[str]) -> None:
    """Help has to be had just then."""
    home.joinpath("gateway.toml").write_text("broken =")
    assert gateway(*verb).returncode == 0
