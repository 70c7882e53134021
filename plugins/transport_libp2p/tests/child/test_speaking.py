from __future__ import annotations

import subprocess
import sys

_SPEAK = """
import logging, structlog
from swarmgate_transport_libp2p.child import speaking
logging.getLogger("libp2p.module").setLevel(logging.DEBUG)  # as the library may have it
said = []
speaking.listen(said.append, "warning")
logging.getLogger("libp2p.module").debug("too little")
logging.getLogger("libp2p.module").warning("as %s", "asked")
logging.warning("by the root")
structlog.get_logger("swarmgate.libp2p").info("swarm.full", newcomers=3)
for each in said:
    print(each.level, each.event, each.facts)
"""


def test_all_that_is_logged_is_told() -> None:
    """The library's words from their level up, by whichever logger, and our own rooms' events with their facts."""
    done = subprocess.run([sys.executable, "-c", _SPEAK], capture_output=True, text=True, check=True, timeout=50)
    assert done.stdout.splitlines() == [
        "warning library_said {'logger': 'libp2p.module', 'said': 'as asked'}",
        "warning library_said {'logger': 'root', 'said': 'by the root'}",
        "info swarm.full {'newcomers': '3'}",
    ]
    assert done.stderr == ""
