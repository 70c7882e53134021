"""Run ``uv pip check``, not minding that the engine is not installed.  Usage: python scripts/installed_agree.py UV.

The checks must mean the same before and after the engine's long compile.
"""

from __future__ import annotations

import subprocess
import sys

ENGINE = "llama-cpp-python"


def faults(report: str) -> list[str]:
    """Return the lines of uv's report that name a fault, without the missing engine's."""
    named = [line for line in report.splitlines() if line.startswith("The package ")]
    return [line for line in named if not (f"`{ENGINE}" in line and "not installed" in line)]


if __name__ == "__main__":
    command = [sys.argv[1], "pip", "check", "--python", sys.prefix]
    ran = subprocess.run(command, check=False, capture_output=True, text=True)
    found = faults(ran.stderr + ran.stdout)
    if ran.returncode and not found and ENGINE not in ran.stderr + ran.stdout:
        found = [ran.stderr]  # uv failed in a way not foreseen here
    print("\n".join(found) or "installed packages agree")
    sys.exit(bool(found))
