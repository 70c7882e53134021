"""Run ``uv pip check``, not minding what is left out on purpose.  Usage: python scripts/installed_agree.py UV.

The checks must mean the same before and after the engine's long compile.  libp2p does without fastecdsa, which would
have to be compiled, too (plugins/transport_libp2p/…/child/curves.py).
"""

from __future__ import annotations

import subprocess
import sys

LEFT_OUT = ("llama-cpp-python", "fastecdsa")


def faults(report: str) -> list[str]:
    """Return the lines of uv's report that name a fault, less those about what is left out."""
    named = [line for line in report.splitlines() if line.startswith("The package ")]
    return [line for line in named if not ("not installed" in line and any(f"`{each}" in line for each in LEFT_OUT))]


if __name__ == "__main__":
    command = [sys.argv[1], "pip", "check", "--python", sys.prefix]
    ran = subprocess.run(command, check=False, capture_output=True, text=True)
    found = faults(ran.stderr + ran.stdout)
    if ran.returncode and not found and not any(each in ran.stderr + ran.stdout for each in LEFT_OUT):
        found = [ran.stderr]  # uv failed in a way not foreseen here
    print("\n".join(found) or "installed packages agree")
    sys.exit(bool(found))
