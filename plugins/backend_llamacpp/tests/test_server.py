"""The RPC server's process, spoken to as the lender does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from swarmgate.api import EngineError, Frame, FrameSplitter, encode_frame
from swarmgate.testing.streams import a_closed_port
from swarmgate_backend_llamacpp.rpc.hello import OURS
from swarmgate_backend_llamacpp.rpc.messages import FromChild, Report, Reported, Serve, ServeFailed, Serving
from swarmgate_backend_llamacpp.rpc.server import ask

MIB = 1 << 20


class Talk:
    """A conversation with the process."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._splitter = FrameSplitter[Any](FromChild)

    def say(self, frame: Frame) -> Any:
        """Say *frame*, and return the answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(encode_frame(frame))
        self.process.stdin.flush()
        while True:
            data = os.read(self.process.stdout.fileno(), 1 << 16)
            assert data, "it ended"
            for answer in self._splitter.feed(data):
                return answer


@contextmanager
def a_server() -> Generator[Talk]:
    command = [sys.executable, "-m", "swarmgate_backend_llamacpp.rpc"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as process:
        try:
            yield Talk(process)
        finally:
            process.kill()


@pytest.mark.engine
def test_it_serves_until_its_input_ends(tmp_path: Path) -> None:
    """It says where once it answers there, reports its memory when asked, and ends with whoever started it."""
    with a_server() as talk:
        serving = talk.say(Serve((), 1, 32 * MIB, str(tmp_path / "tensors")))
        assert isinstance(serving, Serving)
        assert serving.rpc_version == str(OURS)
        interview = ask(serving.port, seconds=10)
        assert (interview.version, [memory.total for memory in interview.memory]) == (OURS, [32 * MIB])
        reported = talk.say(Report())
        assert isinstance(reported, Reported)
        assert [device.memory_total for device in reported.devices] == [32 * MIB]
        assert talk.process.stdin is not None
        talk.process.stdin.close()
        assert talk.process.wait(10) == 0
    with pytest.raises(EngineError, match="does not answer on port"):
        ask(serving.port, seconds=0.1)


@pytest.mark.engine
def test_what_cannot_be_served_is_an_answer(tmp_path: Path) -> None:
    """No death: a device that is not there will not be there after a restart."""
    with a_server() as talk:
        failed = talk.say(Serve(("CPU", "X"), 1, 0, None))
        assert isinstance(failed, ServeFailed)
        assert "there is no device 'X'" in failed.message


def test_a_port_that_does_not_answer_is_given_up() -> None:
    """In time, with the port."""
    with a_closed_port() as endpoint, pytest.raises(EngineError, match=f"does not answer on port {endpoint.port}"):
        ask(endpoint.port, seconds=0.1)
