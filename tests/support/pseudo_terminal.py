"""Runs a command in a real pseudo-terminal and shows its screen as a person would see it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyte

_PIECE = 1 << 16


class _Screen(pyte.Screen):
    """A screen that answers who asks where the cursor is."""

    def __init__(self, answer: Callable[[str], None], columns: int, lines: int) -> None:
        super().__init__(columns, lines)
        self._answer = answer

    def write_process_input(self, data: str) -> None:
        self._answer(data)


class Terminal:
    """A screen of *columns* by *lines*, and the process that writes to it."""

    def __init__(self, process: subprocess.Popen[bytes], master: int, columns: int, lines: int) -> None:
        self.process = process
        self._master = master
        self._screen = _Screen(self.type, columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        #: All that was written, as it came.
        self.raw = b""

    @property
    def lines(self) -> list[str]:
        """Return the lines of the screen, without what is empty at their ends."""
        return [line.rstrip() for line in self._screen.display]

    @property
    def text(self) -> str:
        """Return what is on the screen."""
        return "\n".join(self.lines)

    def type(self, keys: str) -> None:
        """Press *keys*."""
        os.write(self._master, keys.encode())

    def resize(self, columns: int, lines: int) -> None:
        """Make the screen another size, and let the process know."""
        self._screen.resize(lines, columns)
        _size(self._master, columns, lines)

    def until(self, seen: str | Callable[[str], bool], seconds: float = 100.0) -> str:
        """Read on until *seen* is on the screen, or says yes of it; return the screen.

        Raises:
            AssertionError: it did not come in time; the message has the screen.

        """
        there = seen if callable(seen) else lambda text: seen in text
        deadline = time.monotonic() + seconds
        while not there(self.text):
            left = deadline - time.monotonic()
            assert left > 0, f"not seen: {seen!r}; the screen:\n{self.text}"
            if not self._read(left) and not there(self.text):
                raise AssertionError(f"not seen before the end: {seen!r}; the screen:\n{self.text}")
        return self.text

    def end(self, seconds: float = 100.0) -> int:
        """Read on until the process has ended; return its status."""
        deadline = time.monotonic() + seconds
        while self._read(max(deadline - time.monotonic(), 0.0)):
            assert time.monotonic() < deadline, f"it did not end; the screen:\n{self.text}"
        return self.process.wait(max(deadline - time.monotonic(), 1.0))

    def _read(self, seconds: float) -> bool:
        """Take in what was written; return whether there can be more."""
        if not select.select([self._master], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self._master, _PIECE)
        except OSError:  # Linux's way of saying that nobody has the other side any more
            return False
        self.raw += data
        self._stream.feed(data)
        return bool(data)


@contextmanager
def terminal(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str], columns: int = 80, lines: int = 24
) -> Generator[Terminal]:
    """Run *command* in a terminal of its own until the block ends."""
    master, slave = pty.openpty()
    try:
        _size(master, columns, lines)
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**env, "TERM": "xterm-256color", "COLUMNS": "", "LINES": ""},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: _take(slave),  # noqa: PLW1509  # Ctrl-C reaches who has the terminal
        )
        os.close(slave)
        with process:
            try:
                yield Terminal(process, master, columns, lines)
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGKILL)
    finally:
        os.close(master)


def _take(slave: int) -> None:
    """Let the process that is about to be have the terminal *slave*, and heed Ctrl-C.

    Who is started in the background has it ignored, and passes that on to all below.
    """
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _size(master: int, columns: int, lines: int) -> None:
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
