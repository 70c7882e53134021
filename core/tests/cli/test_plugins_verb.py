from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec

Gateway = Callable[..., subprocess.CompletedProcess[str]]
TWINS = """
from contextlib import asynccontextmanager
from typing import Annotated
from swarmgate.api import SECRET, Options, Part, hookimpl


class TwinOptions(Options, frozen=True):
    #: What opens the door.
    key: Annotated[str, SECRET]
    #: How long it stays open, in seconds.
    open_seconds: float = 2.5

@asynccontextmanager
async def open_twin(options, context):
    yield None

@hookimpl
def swarmgate_balancer():
    return [Part("twin", "A balancer for a test.", TwinOptions, open_twin, environ={"TWIN_KEY": "key"})]

@hookimpl
def swarmgate_ledger():
    return [Part("twin", "A ledger for a test.", TwinOptions, open_twin)]
"""


def test_list_names_every_part_and_where_it_comes_from(gateway: Gateway) -> None:
    """Slot, name, summary and distribution; nothing broken is status 0."""
    done = gateway("plugins", "list")
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["ledger", "memory"] in [row[:2] for row in rows]
    assert all(row[-2].startswith("swarmgate-") for row in rows)


def test_list_tells_what_is_broken_and_why(gateway: Gateway, outsider: Callable[..., Path]) -> None:
    """The rest is listed all the same; the status is 1."""
    site = outsider("acme-broken", "import no_such_module")
    done = gateway("plugins", "list", path=site)
    assert done.returncode == 1
    assert "memory" in done.stdout
    reason = "acme-broken 1.2.3: ModuleNotFoundError: No module named 'no_such_module'"
    assert done.stderr == f"broken: acme_broken: {reason}\n"
    done = gateway("plugins", "list", "--json", path=site)
    assert done.returncode == 1
    assert msgspec.json.decode(done.stdout)["broken"] == [{"plugin": "acme_broken", "reason": reason}]
    done = gateway("plugins", "show", "acme_broken", path=site)
    assert (done.returncode, done.stderr) == (1, f"error: acme_broken is broken: {reason}\n")


def test_show_explains_a_part(gateway: Gateway, outsider: Callable[..., Path]) -> None:
    """Options with type, default, help and variable; the slot is named where the name is not enough."""
    site = outsider("acme-twin", TWINS)
    done = gateway("plugins", "show", "twin", path=site)
    assert (done.returncode, done.stderr) == (2, "error: there are ledger/twin and balancer/twin; say which\n")
    done = gateway("plugins", "show", "balancer/twin", path=site)
    assert done.stdout == (
        "balancer/twin: A balancer for a test.\n"
        'from acme-twin 1.2.3; chosen by [balancer] use = "twin"\n'
        "\n  key: text; required\n      environment: TWIN_KEY\n      What opens the door.\n"
        "\n  open_seconds: a number; default 2.5\n      How long it stays open, in seconds.\n"
    )
    shown = msgspec.json.decode(gateway("plugins", "show", "balancer/twin", "--json", path=site).stdout)
    assert (shown["distribution"], shown["version"], shown["slot"]) == ("acme-twin", "1.2.3", "balancer")
    assert shown["options"][0]["secret"]
    done = gateway("plugins", "show", "acme_twin", path=site)
    assert done.stderr == "error: the plugin 'acme_twin' brings ledger/twin, balancer/twin; say which\n"


def test_show_of_what_is_not_there_has_a_remedy(gateway: Gateway) -> None:
    """The name that comes close is offered."""
    done = gateway("plugins", "show", "memry")
    assert (done.returncode, done.stderr) == (2, "error: no part is called 'memry'; did you mean 'memory'?\n")
    assert gateway("plugins", "show", "memory").stdout.endswith("It has no options.\n")
