"""Compile llama-cpp-python with RPC into a wheel that other machines can use too.

Usage: python scripts/engine_wheel.py FOLDER.  The wheel lies in FOLDER then, alone; one that is there already, and was
made in the same way, is left.

uv installs what it compiles and hands out no wheel, so pip makes it, in an environment of its own in which the
pinned tools of the build are.  The settings are those of pyproject.toml (``[tool.uv.config-settings-package]``), but
not for this very processor: for x86-64 ggml's own choice is then AVX2 with FMA, F16C and BMI2, which processors have
since 2013 to 2015; for others what their architecture has at least.  ``CMAKE_ARGS`` adds to it and has the last word.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

from build_engine import build, missing_tools

_ROOT = Path(__file__).parent.parent
_PINNED = ("--disable-pip-version-check", "--no-deps", "--require-hashes")
_DEFINE = "cmake.define."
_DONE = "the engine is compiled, for processors of this one's family"


def settings(pyproject: str) -> dict[str, str]:
    """Return what the build is told, as variables, of the text of a *pyproject*.toml.

    Not as pip's ``--config-settings``: what comes from a file of requirements is not told those by every pip.
    """
    table = tomllib.loads(pyproject)["tool"]["uv"]["config-settings-package"]["llama-cpp-python"]
    defines = {name.removeprefix(_DEFINE): value for name, value in table.items() if name.startswith(_DEFINE)}
    told = {
        f"SKBUILD_{re.sub('[.-]', '_', name).upper()}": value
        for name, value in table.items()
        if not name.startswith(_DEFINE)
    }
    both = {**defines, "GGML_NATIVE": "OFF"}
    return told | {"SKBUILD_CMAKE_DEFINE": ";".join(f"{name}={value}" for name, value in both.items())}


def made_from(told: dict[str, str]) -> str:
    """Return, as a name, what a wheel is made from that was *told* so: another name asks for another wheel."""
    pins = [Path("requirements", name).read_text(encoding="utf-8") for name in ("engine.txt", "build.txt")]
    machine = [platform.system(), platform.machine(), *platform.libc_ver()]
    parts = [*pins, *machine, os.environ.get("CMAKE_ARGS", ""), *sorted(f"{name}={told[name]}" for name in told)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def main(folder: Path) -> int:
    """Make the wheel, if there is none of this kind, in an environment that goes again."""
    told = settings(Path("pyproject.toml").read_text(encoding="utf-8"))
    made = folder / "made-from"
    if list(folder.glob("*.whl")) and made.exists() and made.read_text(encoding="ascii") == made_from(told):
        return 0
    if lack := missing_tools(os.environ):
        print(f"error: {lack}", file=sys.stderr)
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    tools = folder / "tools"
    venv.create(tools, with_pip=True)
    pip = [str(tools / "bin" / "python"), "-m", "pip"]
    ready = subprocess.run([*pip, "install", "--quiet", *_PINNED, "-r", "requirements/build.txt"], check=False)
    if ready.returncode:
        return ready.returncode
    # Without isolation: pip would bring tools of the day into it.  Without its cache: that knows of no settings and has
    # what was compiled for something else.
    how = ("--no-build-isolation", "--no-cache-dir", "--no-binary", "llama-cpp-python")
    command = [*pip, "wheel", "--verbose", *_PINNED, *how]
    os.environ |= told
    status = build(
        [*command, "--wheel-dir", str(folder), "-r", "requirements/engine.txt"], folder / "build.log", done=_DONE
    )
    if not status:
        shutil.rmtree(tools)
        made.write_text(made_from(told), encoding="ascii")
    return status


if __name__ == "__main__":
    os.chdir(_ROOT)
    try:
        sys.exit(main(Path(sys.argv[1])))
    except KeyboardInterrupt:
        sys.exit(130)
