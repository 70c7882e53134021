"""Install llama-cpp-python, compiled here with RPC, and show how far the compiling is.

Usage: python scripts/build_engine.py UV, with the Python of the environment it goes into.

What is passed to the compiler stands in pyproject.toml (``[tool.uv.config-settings-package]``); uv keeps
the result in its cache, so that a second environment takes a second.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

_STEP = re.compile(r"\[(\d+)/(\d+)\] ")
_LINE_EVERY = 10.0  # seconds between lines where the output is no terminal
_LOG = Path(sys.prefix) / "engine-build.log"
_DONE = "the engine is compiled, and kept in uv's cache for the next time"
_RPC = "import llama_cpp, sys; sys.exit(not llama_cpp.llama_supports_rpc())"


@dataclass(slots=True)
class Progress:
    """How far the build is, as its output tells."""

    stage: str = "fetching the engine"
    done: int = 0
    total: int = 0

    def read(self, line: str) -> None:
        """Learn from one line of output."""
        if step := _STEP.search(line):
            self.stage = "compiling llama.cpp"
            self.done, self.total = int(step[1]), int(step[2])
        elif "*** Configuring" in line:
            self.stage = "configuring llama.cpp (it is compiled for this machine: some minutes, once)"
        elif "*** Making wheel" in line:
            self.stage = "packing the engine"

    def show(self, seconds: float) -> str:
        """Say it in one line."""
        minutes, rest = divmod(int(seconds), 60)
        elapsed = f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
        files = f": {self.done} of {self.total} files" if self.stage.startswith("compiling") else ""
        return f"· {self.stage}{files}, {elapsed}"


def missing_tools(environ: Mapping[str, str], path: str | None = None) -> str | None:
    """Say what the compile lacks and how to get it, or nothing.

    cmake and ninja are brought along by the build where the machine has none.
    """
    for variable, what, usual in (("CC", "C", ("cc", "gcc", "clang")), ("CXX", "C++", ("c++", "g++", "clang++"))):
        named = environ.get(variable, "").split()[:1] or usual
        if not any(shutil.which(name, path=path) for name in named):
            return f"no {what} compiler found ({', '.join(named)}); try: apt install build-essential"
    return None


def _install(uv: str, *more: str) -> list[str]:
    pins = ("--require-hashes", "--no-deps", "-r", "requirements/engine.txt")
    return [uv, "pip", "install", "--python", sys.prefix, "--build-constraints", "requirements/build.txt", *pins, *more]


def _has_rpc() -> bool:
    return subprocess.run([sys.executable, "-c", _RPC], check=False, capture_output=True).returncode == 0


def _follow(lines: Iterable[str], progress: Progress, log: TextIO, tail: deque[str]) -> None:
    for line in lines:
        log.write(line)
        tail.append(line)
        progress.read(line)


def build(command: Sequence[str], log_file: Path, *, done: str) -> int:
    """Run a *command* that compiles, telling the terminal how far it is; return its exit status.

    Its whole output goes to *log_file*.  *done* is said in the end if there was something to compile.
    """
    progress, tail, begun = Progress(), deque[str](maxlen=30), time.monotonic()
    terminal, shown, seconds = sys.stdout.isatty(), 0.0, 0.0
    with (
        log_file.open("w", encoding="utf-8") as log,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as process,
    ):
        if process.stdout is None:  # impossible with PIPE, and said for the checker
            return 1
        reader = threading.Thread(target=_follow, args=(process.stdout, progress, log, tail), daemon=True)
        reader.start()
        while reader.is_alive():
            seconds = time.monotonic() - begun
            if terminal:
                print(f"\r\033[K{progress.show(seconds)}", end="", flush=True)
            elif seconds - shown >= _LINE_EVERY:
                shown = seconds
                print(progress.show(seconds), flush=True)
            reader.join(timeout=1.0)
        status = process.wait()
    print("\r\033[K" if terminal else "", end="")
    if status:
        print("".join(tail), file=sys.stderr)
        print(f"error: the engine did not build; the whole output is in {log_file}", file=sys.stderr)
    elif progress.total:
        print(f"· {done} ({progress.show(seconds)[2:]})")
    return status


def main(uv: str) -> int:
    """Install from uv's cache, else build; then see that RPC is in it."""
    os.chdir(Path(__file__).parent.parent)
    if lack := missing_tools(os.environ):
        # An engine already in the cache needs no compiler, and a build without one ends within seconds.
        if subprocess.run([*_install(uv), "--quiet"], check=False, capture_output=True).returncode:
            print(f"error: {lack}", file=sys.stderr)
            return 1
    elif status := build([*_install(uv), "--verbose"], _LOG, done=_DONE):
        return status
    if not _has_rpc():
        print(
            "error: llama-cpp-python is installed, but without RPC or unable to load; remedy:\n"
            f"  {uv} pip uninstall --python {sys.prefix} llama-cpp-python && {uv} cache clean llama-cpp-python"
            " && make setup-engine",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except KeyboardInterrupt:
        sys.exit(130)
