"""``gateway plan``, as it is typed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from tinygguf import Shape, write_llama

Plan = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model of nine layers with 1.5 MiB of weights each."""
    shape = Shape(layers=9, width=256, kv_heads=2, feed_forward=256)
    return write_llama(tmp_path_factory.mktemp("models") / "nine.gguf", shape=shape)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Run the command in a process of its own."""

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "swarmgate", "plan", *map(str, arguments)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False)

    return run


def test_what_fits_is_one_row(plan: Plan, model: Path) -> None:
    """Everything here, and the reason why."""
    done = plan(model, "--here", "1G")
    assert (done.returncode, done.stderr) == (0, "")
    head, row, _, reason = done.stdout.splitlines()
    assert head.split() == ["place", "layers", "share", "weights", "KV", "cache", "computing", "total", "memory"]
    assert row.split()[:5] == ["here", "0-8", "and", "output", "100.0%"]
    assert reason.startswith("fits here: nine needs ")


def test_without_a_figure_this_machine_is_measured(plan: Plan, model: Path) -> None:
    """A tiny model fits into what is free on any machine that runs tests."""
    assert "fits here" in plan(model).stdout


def test_the_table_covers_every_layer(plan: Plan, model: Path) -> None:
    """Ours first, then the workers, the last with the output."""
    done = plan(model, "--here", "20M", "--worker", "10.0.0.5:50052=30M", "--worker", "[fd00::5]:50052=10M")
    assert done.returncode == 0, done.stderr
    rows = [line.split()[:2] for line in done.stdout.splitlines()[1:4]]
    assert [row[0] for row in rows] == ["here", "[fd00::5]:50052", "10.0.0.5:50052"]
    ends = [tuple(map(int, row[1].split("-"))) for row in rows]
    assert (ends[0][0], ends[-1][1]) == (0, 8)
    assert all(end + 1 == begin for (_, end), (begin, _) in pairwise(ends))


def test_json_says_what_llama_cpp_would_be_told(plan: Plan, model: Path) -> None:
    """Places in bytes, and the two options of llama.cpp's that come to the same."""
    done = plan(model, "--here", "60M", "--worker", "a.lan:1=80M", "--placement", "split", "--json")
    assert done.returncode == 0, done.stderr
    facts = msgspec.json.decode(done.stdout)
    assert [place["place"] for place in facts["places"]] == ["here", "a.lan:1"]
    assert [place["memory_bytes"] for place in facts["places"]] == [60 << 20, 80 << 20]
    assert facts["tensor_split"] == [facts["n_gpu_layers"]]
    assert facts["places"][1]["first_layer"] == 10 - facts["n_gpu_layers"]
    assert (facts["layers"], facts["places"][1]["last_layer"], facts["places"][1]["output"]) == (9, 8, True)


def test_the_cache_counts_in_its_type(plan: Plan, model: Path) -> None:
    """More tokens take more, in a smaller type less."""

    def cache(*options: str) -> int:
        return msgspec.json.decode(plan(model, "--here", "64G", "--json", *options).stdout)["places"][0]["cache_bytes"]

    assert cache("--kv-size", "16384") == 2 * cache("--kv-size", "8192")
    assert cache("--type-k", "q8_0", "--type-v", "q8_0") < cache()


def test_what_fits_nowhere_has_status_one(plan: Plan, model: Path) -> None:
    """With the numbers on stderr, and nothing on stdout."""
    done = plan(model, "--here", "4M", "--worker", "a:1=4M")
    assert (done.returncode, done.stdout) == (1, "")
    assert "error: nine needs " in done.stderr
    assert "here are 4.0 MiB and workers lend a:1 4.0 MiB: 8.0 MiB in all" in done.stderr


def test_a_file_that_is_no_model_has_status_one(plan: Plan, tmp_path: Path) -> None:
    """Missing or not GGUF: the message of the reader."""
    (tmp_path / "notes.gguf").write_text("these are notes")
    assert "error: there is no model file 'none.gguf'" in plan("none.gguf").stderr
    assert "is not a GGUF file" in plan("notes.gguf").stderr
    assert plan("notes.gguf").returncode == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--worker", "a:1"], "'a:1' is no worker: expected host:port=MEMORY"),
        (["--worker", "a=4G"], "'a=4G' is no worker"),
        (["--worker", "a:0=4G"], "'a:0=4G' is no worker"),
        (["--worker", "a:65536=4G"], "'a:65536=4G' is no worker"),
        (["--worker", "a:1=4"], "'4' is no amount of memory: expected a number and a unit"),
        (["--worker", "a:1=4G", "--worker", "a:1=5G"], "a:1 is listed twice: remove one"),
        (["--here", "lots"], "'lots' is no amount of memory"),
        (["--type-k", "f7"], "expected one of f32, f16"),
        (["--placement", "away"], "'away' is not one of"),
        ([], "Missing argument 'FILE'"),
    ],
)
def test_a_mistake_in_the_call_has_status_two(plan: Plan, model: Path, arguments: list[str], said: str) -> None:
    """The item is named, and what was expected."""
    done = plan(*([model] if arguments else []), *arguments)
    assert done.returncode == 2
    assert said in done.stderr
