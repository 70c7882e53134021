"""A child that does what it is told: the other side of test_child.py."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from swarmgate.frames import Frame, FrameSplitter, encode_frame


class Do(Frame, frozen=True):
    """What to do."""

    what: str
    data: bytes = b""


class Said(Frame, frozen=True):
    """What was said back."""

    data: bytes
    pid: int


OUT = os.dup(1)
os.dup2(2, 1)


def write(data: bytes) -> None:
    while data:
        data = data[os.write(OUT, data) :]


def say(data: bytes) -> None:
    write(encode_frame(Said(data, os.getpid())))


def show(data: bytes) -> None:
    print(data.decode(), flush=True)  # noqa: T201  # it must not get among the frames


def abort(data: bytes) -> None:
    say(b"half an ans")
    os.write(2, b"GGML_ASSERT: lost the peer\nno end of line")
    os.abort()


def rest(data: bytes) -> None:
    say(b"resting")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)


def close(data: bytes) -> None:
    os.close(OUT)
    time.sleep(600)


def spawn(data: bytes) -> None:
    helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], stdout=OUT)
    say(str(helper.pid).encode())


DEEDS = {"echo": say, "write": write, "print": show, "abort": abort, "rest": rest, "close": close, "spawn": spawn}
splitter = FrameSplitter[Do](Do)
while received := os.read(0, 1 << 16):
    for do in splitter.feed(received):
        DEEDS[do.what](do.data)
