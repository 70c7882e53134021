"""``gateway plan``, as it is typed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tinygguf import Shape, write_llama

Gateway = Callable[..., subprocess.CompletedProcess[str]]
NOWHERE = '[gateway]\nlisten = "127.0.0.1:0"\nstate_dir = "state"\n'


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a model of nine layers with 1.5 MiB of weights each."""
    shape = Shape(layers=9, width=256, kv_heads=2, feed_forward=256)
    return str(write_llama(tmp_path_factory.mktemp("models") / "nine.gguf", shape=shape))


@pytest.fixture
def configured(home: Path, model: str) -> Path:
    """A configuration with two models and a worker that is not there; no gateway runs."""
    file = home / "gateway.toml"
    file.write_text(
        f'{NOWHERE}settle_seconds = 0.1\n[[backend]]\nuse = "llamacpp"\nmodel = "{model}"\naliases = ["n"]\n'
        '[[backend]]\nuse = "echo"\n[[discovery]]\nuse = "static"\nworkers = ["127.0.0.1:1"]\n'
    )
    return file


def planned(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return msgspec.json.decode(done.stdout)


def test_what_fits_is_one_row(gateway: Gateway, model: str) -> None:
    """Everything here, and the reason why."""
    done = gateway("plan", model, "--here", "1G")
    assert (done.returncode, done.stderr) == (0, "")
    head, row, _, reason = done.stdout.splitlines()
    assert head.split() == ["place", "layers", "share", "weights", "KV", "cache", "computing", "total", "memory"]
    assert row.split()[:5] == ["here", "0-8", "and", "output", "100.0%"]
    assert row.endswith("1.0 GiB")
    assert reason.startswith("fits here: nine needs ")


def test_without_a_figure_this_machine_is_measured(gateway: Gateway, model: str, home: Path) -> None:
    """A tiny model fits into what is free on any machine that runs tests; nothing is left behind."""
    assert "fits here" in gateway("plan", model).stdout
    assert list(home.iterdir()) == []


def test_the_table_covers_every_layer(gateway: Gateway, model: str) -> None:
    """Ours first, then the workers, the last with the output."""
    workers = ("--worker", "10.0.0.5:50052=30M", "--worker", "[fd00::5]:50052=10M")
    done = gateway("plan", model, "--here", "20M", *workers)
    assert done.returncode == 0, done.stderr
    rows = [line.split()[:2] for line in done.stdout.splitlines()[1:4]]
    assert [row[0] for row in rows] == ["here", "[fd00::5]:50052", "10.0.0.5:50052"]
    ends = [tuple(map(int, row[1].split("-"))) for row in rows]
    assert (ends[0][0], ends[-1][1]) == (0, 8)
    assert all(end + 1 == begin for (_, end), (begin, _) in pairwise(ends))


def test_json_has_places_in_bytes(gateway: Gateway, model: str) -> None:
    """The same documents as /v1/swarm, with the memory of each place; the flag is the gateway's own setting."""
    supposed = ("--here", "60M", "--worker", "a.lan:1=80M", "--placement", "split")
    facts = planned(gateway("plan", model, *supposed, "--json"))
    assert (facts["running"], facts["memory_bytes"]) == (None, 60 << 20)
    (nine,) = facts["models"]
    assert (nine["name"], nine["placement"], nine["backend"]) == ("nine", "split", "llamacpp")
    here, there = nine["places"]
    assert (here["place"], there["place"], there["address"]) == ("here", "a.lan:1", "a.lan:1")
    assert (here["memory_bytes"], there["memory_bytes"]) == (60 << 20, 80 << 20)
    assert (here["last_layer"] + 1, there["last_layer"], there["output"]) == (there["first_layer"], 8, True)
    assert there["total_bytes"] == there["weight_bytes"] + there["cache_bytes"] + there["compute_bytes"]
    assert [(worker["name"], worker["state"]) for worker in facts["workers"]] == [("a.lan:1", "usable")]


def test_options_of_the_backend_count(gateway: Gateway, model: str) -> None:
    """More tokens take more, in a smaller type less: any option can be tried."""

    def cache(*options: str) -> int:
        flags = [word for option in options for word in ("--option", option)]
        facts = planned(gateway("plan", model, "--here", "64G", "--json", *flags))
        return int(facts["models"][0]["places"][0]["cache_bytes"])

    assert cache("kv_size=16384") == 2 * cache("kv_size=8192")
    assert cache("type_k=q8_0", "type_v=q8_0") < cache()


def test_what_fits_nowhere_has_status_one(gateway: Gateway, model: str) -> None:
    """With the numbers on stderr, and nothing on stdout; as JSON the reason is in there, too."""
    supposed = ("--here", "4M", "--worker", "a:1=4M")
    done = gateway("plan", model, *supposed)
    assert (done.returncode, done.stdout) == (1, "")
    assert "error: nine needs " in done.stderr
    assert "here are 4.0 MiB and workers lend a:1 4.0 MiB: 8.0 MiB in all" in done.stderr
    told = gateway("plan", model, *supposed, "--json")
    assert told.returncode == 1
    assert msgspec.json.decode(told.stdout)["models"][0]["waiting"].startswith("nine needs ")


def test_a_file_that_is_no_model_has_status_one(gateway: Gateway, home: Path) -> None:
    """Missing or not GGUF: the message of the reader."""
    (home / "notes.gguf").write_text("these are notes")
    assert "error: there is no model file 'none.gguf'" in gateway("plan", "none.gguf").stderr
    done = gateway("plan", "notes.gguf", "--here", "1G")
    assert "is not a GGUF file" in done.stderr
    assert done.returncode == 1


def test_without_a_name_all_configured_models_are_shown(gateway: Gateway, configured: Path) -> None:
    """Each with its heading; a worker that cannot be reached is listed with the reason."""
    done = gateway("plan")
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line.endswith(":")] == ["nine:", "echo:"]
    (left_out,) = (line for line in done.stdout.splitlines() if line.startswith("left out: "))
    assert left_out.startswith("left out: 127.0.0.1:1: ")
    assert "nothing answers" in left_out
    worker = planned(gateway("plan", "--json"))["workers"][0]
    assert (worker["name"], worker["state"]) == ("127.0.0.1:1", "left_out")
    assert "nothing answers" in worker["reason"]


@pytest.mark.parametrize("name", ["nine", "n"])
def test_a_configured_model_is_found_by_its_name(gateway: Gateway, configured: Path, name: str) -> None:
    """Or by an alias; others are not shown, and supposing asks nobody."""
    facts = planned(gateway("plan", name, "--here", "1G", "--json"))
    assert ([model["name"] for model in facts["models"]], facts["workers"]) == (["nine"], [])


def test_a_model_that_fits_nowhere_does_not_hide_the_others(gateway: Gateway, configured: Path) -> None:
    """What can be placed is shown, what cannot is an error beside it."""
    done = gateway("plan", "--here", "4M")
    assert done.returncode == 1
    assert "echo:" in done.stdout
    assert "error: nine needs " in done.stderr


def test_where_nobody_knows_sizes_there_are_shares(gateway: Gateway, configured: Path) -> None:
    """A backend that weighs nothing has no table of bytes."""
    lines = gateway("plan", "echo", "--here", "1G").stdout.splitlines()
    assert [line.split() for line in lines[:2]] == [["place", "share"], ["here", "100.0%"]]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--worker", "a:1"], "'a:1' is no worker: expected host:port=SIZE"),
        (["--worker", "a=4G"], "'a=4G' is no worker"),
        (["--worker", "a:0=4G"], "'a:0=4G' is no worker"),
        (["--worker", "a:65536=4G"], "'a:65536=4G' is no worker"),
        (["--worker", "a:1=4"], "'4' is no amount of memory: expected a number and a unit"),
        (["--worker", "a:1=4G", "--worker", "a:1=5G"], "a:1 is listed twice: remove one"),
        (["--here", "lots"], "'lots' is no amount of memory"),
        (["--placement", "away"], "'away' is not one of"),
        (["--option", "type_k=f7"], "error: --option type_k: expected one of f32, f16"),
        (["--option", "slosts=7"], "error: --option slosts: unknown option 'slosts'; did you mean 'slots'?"),
        (["--option", "slots"], "'slots' is no option: expected NAME=VALUE, such as slots=8"),
        (["--option", "slots=1", "--option", "slots=2"], "slots is given twice: remove one"),
        (["--option", "slots=many"], "error: --option slots: expected a whole number, found 'many'"),
        (["eckho"], "error: no model is called 'eckho', and no file; did you mean 'echo'?"),
        (["-c", "none.toml"], "error: none.toml: there is no such file"),
    ],
)
def test_a_mistake_in_the_call_has_status_two(
    gateway: Gateway, configured: Path, arguments: list[str], said: str
) -> None:
    """The item is named, and what was expected."""
    done = gateway("plan", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
