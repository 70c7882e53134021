"""The road of a third party: wheels alone, in an empty environment, with somebody else's plugin in charge."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
PROJECTS = [ROOT / "core", *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml")), ROOT]
OUTSIDER = ROOT / "examples" / "acme_sticky"
#: Building and installing are minutes on a slow machine, not seconds.
pytestmark = [pytest.mark.journey, pytest.mark.timeout(600)]

CONFIG = """
[gateway]
listen = "127.0.0.1:0"
log_format = "json"

[balancer]
use = "sticky"
sessions = 100

[[backend]]
use = "echo"

[[backend]]
use = "echo"
"""


def bring(*command: str | Path, **options: Any) -> str:
    """Run *command* to its end and return what it said; fail with all of it."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def uv() -> str:
    own = ROOT / ".uv" / "bin" / "uv"
    found = shutil.which("uv") or (str(own) if own.exists() else None)
    if found is None:
        pytest.skip("there is no uv: `make setup` brings one")
    return found


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a new user's shell has: a home of its own, and nothing of ours."""
    strange = ("GATEWAY_", "LLAMACPP_", "PYTHON", "VIRTUAL_ENV", "COV_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(strange)}
    home = tmp_path_factory.mktemp("home")
    return {**kept, "UV_CACHE_DIR": uv_cache(), "HOME": str(home), "XDG_CONFIG_HOME": str(home / "config")}


def uv_cache() -> str:
    return os.environ.get("UV_CACHE_DIR") or str(Path.home() / ".cache" / "uv")


@pytest.fixture(scope="module")
def wheels(uv: str, environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Build every distribution of ours, and the outsider's."""
    folder = tmp_path_factory.mktemp("wheels")
    pins = ROOT / "requirements" / "build.txt"
    for project in (*PROJECTS, OUTSIDER):
        bring(uv, "build", "--quiet", "--wheel", "--build-constraints", pins, "--out-dir", folder, project, env=environ)
    return sorted(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(uv: str, wheels: list[Path], environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheels, and what the core needs, into an empty environment; return its programs."""
    venv = tmp_path_factory.mktemp("empty") / "venv"
    bring(uv, "venv", "--quiet", "--python", sys.executable, venv, env=environ)
    install = (uv, "pip", "install", "--quiet", "--python", venv, "--no-deps")
    bring(*install, "--require-hashes", "-r", ROOT / "requirements" / "runtime.txt", env=environ)
    bring(*install, *wheels, env=environ)  # no dependencies: the engine would be compiled for minutes
    return venv / "bin"


@pytest.fixture(scope="module")
def workbench(uv: str, installed: Path, environ: dict[str, str]) -> Path:
    """Add what the outsider's tests need; to be asked for last, as the environment is empty no more."""
    pins = ROOT / "requirements" / "dev.txt"
    install = (uv, "pip", "install", "--quiet", "--python", installed.parent, "--no-deps", "--require-hashes")
    bring(*install, "-r", pins, env=environ)
    return installed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "gateway.toml").write_text(CONFIG, encoding="utf-8")
    return tmp_path


def test_there_is_a_wheel_for_everything(wheels: list[Path]) -> None:
    """Each project gives one wheel, and the outsider's holds its package and nothing else of ours."""
    names = {wheel.name.split("-")[0] for wheel in wheels}
    assert len(wheels) == len(PROJECTS) + 1
    assert {"swarmgate", "swarmgate_core", "acme_sticky"} <= names


def test_nothing_comes_from_the_repository(installed: Path, folder: Path, environ: dict[str, str]) -> None:
    """The environment imports the wheels' files, the outsider's among them."""
    code = "import swarmgate, acme_sticky; print(swarmgate.__file__, acme_sticky.__file__)"
    for place in bring(installed / "python", "-c", code, cwd=folder, env=environ).split():
        assert Path(place).is_relative_to(installed.parent)


def test_the_plugin_is_listed_beside_ours(installed: Path, folder: Path, environ: dict[str, str]) -> None:
    """The list names the outsider's part with its distribution and version, and nothing is broken."""
    listed = json.loads(bring(installed / "gateway", "plugins", "list", "--json", cwd=folder, env=environ))
    assert listed["broken"] == []
    origins = {(part["slot"], part["name"]): (part["distribution"], part["version"]) for part in listed["parts"]}
    assert origins["balancer", "sticky"] == ("acme-sticky", "1.2.3")
    assert origins["balancer", "least_loaded"][0] == "swarmgate-balancer-least-loaded"
    assert "acme-sticky 1.2.3" in bring(installed / "gateway", "plugins", "list", cwd=folder, env=environ)


def test_the_part_is_shown_with_its_options(installed: Path, folder: Path, environ: dict[str, str]) -> None:
    """Names, defaults and help of an outsider's options are shown like our own."""
    shown = bring(installed / "gateway", "plugins", "show", "sticky", cwd=folder, env=environ)
    assert "spare_requests" in shown
    assert "2.0" in shown
    assert "How many conversations are remembered" in shown


def test_the_configuration_is_checked(installed: Path, folder: Path, environ: dict[str, str]) -> None:
    """A configuration that selects the part is good; a misspelt option of it is blamed on its line."""
    bring(installed / "gateway", "config", "check", cwd=folder, env=environ)
    wrong = CONFIG.replace("sessions =", "sesions =")
    (folder / "gateway.toml").write_text(wrong, encoding="utf-8")
    done = subprocess.run(
        [installed / "gateway", "config", "check"], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    line = wrong.splitlines().index("sesions = 100") + 1
    assert done.returncode == 2
    assert f"gateway.toml:{line}: " in done.stdout + done.stderr
    assert "did you mean 'sessions'?" in done.stdout + done.stderr


@contextmanager
def running(gateway: Path, folder: Path, environ: dict[str, str]) -> Generator[tuple[str, list[str]]]:
    """Hold ``gateway run`` running; yield its URL, and the lines it has said so far."""
    process = subprocess.Popen(
        [gateway, "run"], cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    lines: list[str] = []
    found: list[str] = []
    serving = threading.Event()

    def listen() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if match := re.search(r"OPENAI_BASE_URL=(http://127\.0\.0\.1:\d+)/v1", line):
                found.append(match[1])
                serving.set()
        serving.set()  # its end is an answer too

    reader = threading.Thread(target=listen)
    reader.start()
    try:
        serving.wait(120)
        assert found, "".join(lines) or "it said nothing within two minutes"
        yield found[0], lines
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, "".join(lines)
    finally:
        process.kill()
        process.wait()
        reader.join()
        if process.stdout is not None:
            process.stdout.close()


def chat(url: str, text: str, session: str) -> tuple[dict[str, Any], str]:
    """Send a chat request; return the answer and the name of the backend that wrote it."""
    body = json.dumps({"model": "echo", "messages": [{"role": "user", "content": text}]}).encode()
    headers = {"Content-Type": "application/json", "X-Session-ID": session}
    request = urllib.request.Request(f"{url}/v1/chat/completions", data=body, headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer), answer.headers["X-Gateway-Worker"]


def test_the_plugin_decides_who_answers(installed: Path, folder: Path, environ: dict[str, str]) -> None:
    """A chat is answered through the outsider's balancer: the log says it opened, and a session stays put."""
    with running(installed / "gateway", folder, environ) as (url, lines):
        workers: set[str] = set()
        for number in range(6):
            answer, worker = chat(url, f"hello number {number}", session="one conversation")
            assert answer["choices"][0]["message"]["content"] == f"hello number {number}"
            workers.add(worker)
    assert len(workers) == 1
    assert None not in workers
    assert any('"sticky.opened"' in line for line in lines), "".join(lines)


def test_the_outsiders_own_tests_pass(workbench: Path, folder: Path, environ: dict[str, str]) -> None:
    """Against the installed wheels every test of the plugin runs, those of the kit for plugins included."""
    shutil.copytree(OUTSIDER / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    command = (workbench / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "-k", "not trio")
    out = bring(*command, "tests", cwd=folder, env=environ)
    assert re.search(r"^\d+ passed", out, re.MULTILINE), out
    assert "skipped" not in out
