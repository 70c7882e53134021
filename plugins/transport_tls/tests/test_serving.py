"""The child as its gateway sees it: a process, frames in and frames out."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager

import pytest
from swarmgate.api import Frame, FrameSplitter, Membership, encode_frame
from swarmgate.testing import a_swarm
from swarmgate.testing.streams import a_closed_port
from swarmgate_transport_tls.child.serving import Serving
from swarmgate_transport_tls.messages import Conceal, Configure, Done, Expose, FromChild, Leave, Listen, Reach


class Child:
    """A forwarding process under nobody's supervision."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._splitter = FrameSplitter[FromChild](FromChild)
        self._said: list[FromChild] = []

    def tell(self, *frames: Frame) -> None:
        """Tell it *frames*."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"".join(map(encode_frame, frames)))
        self.process.stdin.flush()

    def heard(self) -> FromChild:
        """Return the next frame it says."""
        assert self.process.stdout is not None
        while not self._said:
            data = os.read(self.process.stdout.fileno(), 1 << 16)
            assert data, "it has ended"
            self._said += self._splitter.feed(data)
        return self._said.pop(0)


def who(member: Membership) -> Configure:
    return Configure(member.key, member.certificate, member.authority, member.sealing, timeout_seconds=1)


@contextmanager
def a_child(*frames: Frame) -> Generator[Child]:
    command = [sys.executable, "-m", "swarmgate_transport_tls.child"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        child = Child(process)
        try:
            child.tell(*frames)
            yield child
        finally:
            process.kill()


def test_it_does_as_it_is_told() -> None:
    """A listener, a service shown and hidden again, a path that cannot be had, and one that is left before."""
    one, other = a_swarm()
    with a_closed_port() as nowhere, a_child(who(one), Listen(1, "127.0.0.1", 0)) as child:
        listening = child.heard()
        assert isinstance(listening, Done)
        assert (listening.id, listening.reason) == (1, "")
        assert listening.port
        child.tell(Expose(2, "gateway", "127.0.0.1", 1), Conceal(3, "gateway"), Leave(99))
        assert [child.heard(), child.heard()] == [Done(2), Done(3)]
        child.tell(Listen(4, "127.0.0.1", listening.port))
        assert child.heard() == Done(4, reason="address already in use")
        child.tell(Reach(5, other.id, nowhere.host, nowhere.port, "gateway"))
        assert child.heard() == Done(5, reason="connection refused")


def test_it_ends_with_its_gateway() -> None:
    """The end of its standard input ends it, in order."""
    with a_child(who(a_swarm("owner")[0]), Listen(1, "127.0.0.1", 0)) as child:
        child.heard()
        assert child.process.stdin is not None
        child.process.stdin.close()
        assert child.process.wait(5) == 0


@pytest.mark.parametrize("frames", [(Listen(1, "127.0.0.1", 0),), (who(a_swarm("owner")[0]),) * 2])
def test_it_is_told_who_it_is_once_and_first(frames: tuple[Frame, ...]) -> None:
    """A gateway that says something else first, or says it twice, is not the one it was made for."""
    with a_child(*frames) as child:
        assert child.process.wait(10) != 0


def test_it_shows_no_secrets() -> None:
    """Neither its own words nor those of its parts hold a key."""
    (one,) = a_swarm("owner")
    shown = repr(Serving(who(one), lambda _: None))
    assert "key" not in shown
    assert one.key.hex() not in shown
