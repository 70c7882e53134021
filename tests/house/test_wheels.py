from __future__ import annotations

import hashlib
import subprocess
import sys
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def scripted(root: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script that compiles the engine into a wheel, as a module."""
    monkeypatch.syspath_prepend(root / "scripts")
    spec = spec_from_file_location("engine_wheel", root / "scripts" / "engine_wheel.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def projects(root: Path) -> list[Path]:
    return [root, root / "core", *sorted(path.parent for path in root.glob("plugins/*/pyproject.toml"))]


def test_every_distribution_has_the_licence(root: Path) -> None:
    """Each names it, and carries its text: a file of its own, since links do not survive in source distributions."""
    text = (root / "LICENSE").read_text(encoding="utf-8")
    assert len(projects(root)) > 10
    for project in projects(root):
        assert tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]["license"] == "MIT"
        file = project / "LICENSE"
        assert (file.is_symlink(), file.read_text(encoding="utf-8")) == (False, text), project


def test_the_list_names_the_wheels_by_hash(root: Path, tmp_path: Path) -> None:
    """What lies there is asked for as it is, beside what it needs; the list has no address, and moves along."""
    wheels = ("swarmgate_balancer_p2c-0.1.0-py3-none-any.whl", "llama_cpp_python-0.3.36-py3-none-linux_x86_64.whl")
    for wheel in wheels:
        (tmp_path / wheel).write_text(wheel)
    subprocess.run([sys.executable, root / "scripts" / "wheels_list.py", tmp_path], check=True)
    text = (tmp_path / "requirements.txt").read_text(encoding="utf-8")
    digests = [hashlib.sha256(wheel.encode()).hexdigest() for wheel in wheels]
    assert f"\nswarmgate-balancer-p2c==0.1.0 --hash=sha256:{digests[0]}\n" in text
    assert f"\nllama-cpp-python==0.3.36 --hash=sha256:{digests[1]}\n" in text
    assert text.count("\n--find-links .\n") == 1
    assert (root / "requirements" / "runtime.txt").read_text(encoding="utf-8") in text
    assert "://" not in text


def test_the_engine_is_told_the_same_but_for_the_processor(root: Path, scripted: ModuleType) -> None:
    """A wheel is built as the engine is at home, RPC and all, only not for this very processor."""
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    told = scripted.settings(text)
    defines = dict(each.split("=", 1) for each in told.pop("SKBUILD_CMAKE_DEFINE").split(";"))
    table = tomllib.loads(text)["tool"]["uv"]["config-settings-package"]["llama-cpp-python"]
    home = {name.removeprefix("cmake.define."): value for name, value in table.items() if ".define." in name}
    assert defines == home | {"GGML_NATIVE": "OFF"}
    assert defines["GGML_RPC"] == "ON"
    assert told == {"SKBUILD_CMAKE_SOURCE_DIR": "vendor/llama.cpp", "SKBUILD_NINJA_MAKE_FALLBACK": "false"}


def test_another_way_to_compile_asks_for_another_wheel(
    root: Path, scripted: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is already there counts only if it was made with the same settings and arguments."""
    monkeypatch.chdir(root)
    monkeypatch.delenv("CMAKE_ARGS", raising=False)
    told = scripted.settings((root / "pyproject.toml").read_text(encoding="utf-8"))
    name = scripted.made_from(told)
    assert scripted.made_from(dict(told)) == name
    assert scripted.made_from({**told, "SKBUILD_CMAKE_DEFINE": "GGML_RPC=OFF"}) != name
    monkeypatch.setenv("CMAKE_ARGS", "-DGGML_AVX2=OFF")
    assert scripted.made_from(told) != name
