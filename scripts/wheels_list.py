"""Write what a machine installs to have the gateway from a folder of wheels.

Usage: python scripts/wheels_list.py FOLDER.

FOLDER/requirements.txt then names everything by version and hash: the wheels that lie there, the engine's among them,
and what they need from elsewhere, as it was tested here.  So nothing is compiled and nothing chosen on the other
machine, and a stranger's package of the same name is none of ours.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

_HEAD = """\
# Written by `make wheels`.  In an environment of its own, on a machine of the same kind:
#    pip install --no-deps -r requirements.txt
--find-links .
"""


def pinned(wheel: Path) -> str:
    """Return the line that asks for this *wheel* and no other."""
    name, version, *_ = wheel.name.split("-")
    return f"{name.replace('_', '-')}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}"


def listed(folder: Path, pins: str) -> str:
    """Return the file's text: the wheels of *folder*, and *pins* of what they need."""
    wheels = "".join(f"{pinned(wheel)}\n" for wheel in sorted(folder.glob("*.whl")))
    return f"{_HEAD}{wheels}{pins}"


if __name__ == "__main__":
    there = Path(sys.argv[1])
    runtime = Path(__file__).parent.parent / "requirements" / "runtime.txt"
    there.joinpath("requirements.txt").write_text(listed(there, runtime.read_text(encoding="utf-8")), encoding="utf-8")
