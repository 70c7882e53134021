"""``gateway models pull`` against a hub on loopback: the real command, with the hub's own library."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_hub import FakeHub, fake_hub

Gateway = Callable[..., subprocess.CompletedProcess[str]]
DATA = b"GGUF" + bytes(range(256)) * 4000
#: The library takes what comes in pieces of this size: what is cut off within one is fetched again.
PIECE = 10 << 20
BIG = b"GGUF" + bytes(2 * PIECE)
REPO = "org/tiny-GGUF"


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    """Serve one repository with two types of weights, one of them in parts, and a file that is none of a model."""
    with fake_hub() as served:
        served.files[REPO] = {
            "README.md": b"# Tiny",
            "tiny-Q4_K_M.gguf": DATA,
            "Q8_0/tiny-Q8_0-00001-of-00002.gguf": DATA + b"1",
            "Q8_0/tiny-Q8_0-00002-of-00002.gguf": DATA + b"2",
        }
        served.files["plain"] = {"far.gguf": DATA, "page.gguf": b"<html>not here</html>"}
        yield served


@pytest.fixture
def pull(gateway: Gateway, home: Path, hub: FakeHub) -> Gateway:
    """Run the command against that hub, with the models folder ``models``."""
    (home / "gateway.toml").write_text(f'[gateway]\nlisten = "127.0.0.1:9"\nstate_dir = "{home}"\n')

    def run(model: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return gateway("models", "pull", model, **{"HF_ENDPOINT": hub.url, "HF_HOME": str(home / "hf"), **variables})

    return run


def lies(home: Path) -> dict[str, bytes]:
    return {
        path.relative_to(home / "models").as_posix(): path.read_bytes()
        for path in sorted((home / "models").rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize(
    "name", [REPO, f"{REPO}:q4_k_m", f"hf://{REPO}/tiny-Q4_K_M.gguf", f"huggingface://{REPO}/tiny-Q4_K_M.gguf@main"]
)
def test_a_model_is_pulled_by_whatever_name(pull: Gateway, home: Path, name: str) -> None:
    """It lies under the names of its repository, and what follows from here is said."""
    done = pull(name)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{REPO}/tiny-Q4_K_M: there; `gateway models load {REPO}/tiny-Q4_K_M` loads it" in done.stdout
    assert lies(home) == {f"{REPO}/tiny-Q4_K_M.gguf": DATA}


def test_all_parts_are_pulled(pull: Gateway, home: Path, hub: FakeHub) -> None:
    """Whichever is named; what is there already is not fetched again."""
    done = pull(f"{REPO}/Q8_0/tiny-Q8_0-00002-of-00002.gguf")
    assert (done.returncode, done.stderr) == (0, "")
    assert list(lies(home).values()) == [DATA + b"1", DATA + b"2"]
    hub.ranges.clear()
    assert pull(f"{REPO}:Q8_0").returncode == 0
    assert hub.ranges == []


def test_a_broken_connection_is_gone_on_with(pull: Gateway, home: Path, hub: FakeHub) -> None:
    """Within one command from where it was cut off."""
    hub.files[REPO]["tiny-Q4_K_M.gguf"] = BIG
    hub.cuts = [PIECE + 100, PIECE - 100]
    done = pull(REPO)
    assert done.returncode == 0, done.stderr
    assert hub.ranges == ["", f"bytes={PIECE}-", f"bytes={PIECE}-"]
    assert lies(home) == {f"{REPO}/tiny-Q4_K_M.gguf": BIG}


def test_what_was_cut_off_is_gone_on_with_by_the_next_command(pull: Gateway, home: Path, hub: FakeHub) -> None:
    """Nothing is seen of it before it is whole."""
    hub.files[REPO]["tiny-Q4_K_M.gguf"] = BIG
    hub.cuts = [PIECE + 100, *[0] * 5]
    done = pull(REPO)
    assert done.returncode == 1
    assert "what came is kept, pull it again to go on" in done.stderr
    assert "Traceback" not in done.stderr
    (partial,) = lies(home)
    assert partial.startswith(".pulling/")
    hub.cuts, hub.ranges = [], []
    done = pull(REPO)
    assert (done.returncode, hub.ranges) == (0, [f"bytes={PIECE}-"])
    assert lies(home) == {f"{REPO}/tiny-Q4_K_M.gguf": BIG}
    assert not (home / "models" / ".pulling").exists()


def test_a_wrong_hash_is_refused(pull: Gateway, home: Path, hub: FakeHub) -> None:
    """And what came is removed, so that the next try begins anew."""
    hub.hashes["tiny-Q4_K_M.gguf"] = "0" * 64
    done = pull(REPO)
    assert done.returncode == 1
    found = hashlib.sha256(DATA).hexdigest()
    assert f"has the SHA-256 {found}, expected {'0' * 64}: what came is removed" in done.stderr
    assert lies(home) == {}


def test_who_is_not_let_in_is_told_how(pull: Gateway, hub: FakeHub) -> None:
    """By a token, or by accepting terms; the token is shown to nobody but the hub, and not printed."""
    hub.token = "hf_secret"
    done = pull(REPO)
    assert done.returncode == 1
    assert f"has no {REPO}, or does not show it to everybody: set HF_TOKEN to a token that may read it" in done.stderr
    done = pull(REPO, HF_TOKEN="hf_secret")
    assert done.returncode == 0
    assert "hf_secret" not in done.stdout + done.stderr
    hub.gated.add(REPO)
    done = pull(f"{REPO}:Q8_0", HF_TOKEN="hf_secret")
    assert done.returncode == 1
    assert f"is given only to who accepted its terms: do so at {hub.url}/{REPO}" in done.stderr


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (f"{REPO}:Q2_K", "has no Q2_K; there are: Q8_0/tiny-Q8_0-00001-of-00002.gguf, tiny-Q4_K_M.gguf"),
        (f"{REPO}@nowhere", "has no such revision"),
        ("tiny", "'tiny' is neither a file here nor a model's name; expected ORG/REPO"),
        ("./tiny.gguf", "there is no file tiny.gguf"),
    ],
)
def test_what_is_not_there_is_said(pull: Gateway, name: str, reason: str) -> None:
    """With what there is instead."""
    done = pull(name)
    assert done.returncode == 1
    assert reason in done.stderr


def test_an_address_is_pulled(pull: Gateway, home: Path, hub: FakeHub) -> None:
    """And gone on with if it has not changed; what is no model is refused, and no token is shown to strangers."""
    hub.files["plain"]["far.gguf"] = BIG
    hub.cuts = [PIECE + 100, *[0] * 5]
    url = f"{hub.url.replace('127.0.0.1', 'localhost')}/plain/far.gguf"
    done = pull(url, HF_TOKEN="hf_secret")
    assert (done.returncode, "pull it again to go on" in done.stderr) == (1, True)
    hub.cuts, hub.ranges = [], []
    done = pull(url, HF_TOKEN="hf_secret")
    assert (done.returncode, hub.ranges) == (0, [f"bytes={PIECE}-"])
    assert lies(home) == {"far.gguf": BIG}
    assert set(hub.shown) == {""}
    done = pull(url.replace("far", "page"))
    assert done.returncode == 1
    assert "page.gguf is no GGUF file, it begins with b'<html>not here</': what came is removed" in done.stderr
    done = pull(url.replace("far", "none"))
    assert done.returncode == 1
    assert "answered 404" in done.stderr
    assert list(lies(home)) == ["far.gguf"]


def test_without_a_hub_it_is_said(pull: Gateway, hub: FakeHub) -> None:
    """That it cannot be reached, and not at length."""
    done = pull(REPO, HF_ENDPOINT="http://127.0.0.1:9")
    assert done.returncode == 1
    assert "http://127.0.0.1:9 cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_of_this_machine_is_linked(pull: Gateway, home: Path) -> None:
    """With all its parts; where there are no links it is copied, which is tried in the test of that room."""
    for number in (1, 2):
        (home / f"own-0000{number}-of-00002.gguf").write_bytes(DATA + bytes([number]))
    done = pull("own-00002-of-00002.gguf")
    assert (done.returncode, done.stderr) == (0, "")
    assert "`gateway models load own-00001-of-00002` loads it" in done.stdout
    assert sorted(lies(home)) == ["own-00001-of-00002.gguf", "own-00002-of-00002.gguf"]
    assert (home / "models" / "own-00001-of-00002.gguf").samefile(home / "own-00001-of-00002.gguf")
