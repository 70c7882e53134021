from __future__ import annotations

import shutil
import signal
import subprocess
import sys

import pytest
from sidebyside.stage import dying_with_us


@pytest.mark.skipif(not shutil.which("setpriv"), reason="util-linux's setpriv is not there")
def test_what_is_started_dies_with_who_started_it() -> None:
    """A benchmark that is killed leaves nobody behind, though it could not tidy up."""
    words = [*dying_with_us(), sys.executable, "-c", "print('here', flush=True); import time; time.sleep(600)"]
    starter = f"import subprocess, sys\nsubprocess.Popen({words!r}, start_new_session=True)\nsys.stdin.read()"
    process = subprocess.Popen([sys.executable, "-c", starter], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"here\n"
    process.send_signal(signal.SIGKILL)
    assert process.stdout.read() == b""  # who was started held it open, too
    process.wait()
    if process.stdin is not None:
        process.stdin.close()
    process.stdout.close()
