from __future__ import annotations

import os
import subprocess
import sys

from sidebyside.contenders import family, processor_seconds
from sidebyside.footprint import memory


def test_a_family_is_a_process_and_all_below_it() -> None:
    """Children of children belong to the family: the engine is the gateway's child."""
    busy = "import time\nwhile time.process_time() < 0.05: pass\n"  # the kernel counts in hundredths of a second
    script = busy + "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(flush=True); input()'])"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert len(family(process.pid)) == 2
        assert process.pid in family(os.getpid())
        assert processor_seconds(process.pid) > 0
        used = memory(process.pid)
        assert used.resident >= used.proportional > 1
        process.communicate(b"\n")
