"""``python -m swarmgate`` is ``gateway``."""

from __future__ import annotations

from swarmgate.cli import main

if __name__ == "__main__":
    main(prog_name="gateway")
