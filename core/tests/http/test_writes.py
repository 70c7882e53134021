from __future__ import annotations

from collections.abc import Callable

from swarmgate.http.writes import JoinedWrites


class Recorder:
    """A transport that remembers what was asked of it."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def writelines(self, parts: list[bytes]) -> None:
        self.heard.append(b"|".join(parts))

    def close(self) -> None:
        self.heard.append("close")

    def is_closing(self) -> bool:
        return "close" in self.heard


def joined() -> tuple[Recorder, list[Callable[[], None]], JoinedWrites]:
    transport, turn = Recorder(), list[Callable[[], None]]()
    return transport, turn, JoinedWrites(transport, turn.append)


def test_what_is_written_in_one_turn_goes_out_once() -> None:
    """Writes are kept until the turn is over, and the next turn begins anew."""
    transport, turn, writes = joined()
    writes.write(b"head")
    writes.write(b"first")
    assert transport.heard == []
    assert len(turn) == 1
    turn.pop()()
    assert transport.heard == [b"head|first"]
    writes.write(b"second")
    turn.pop()()
    assert transport.heard == [b"head|first", b"second"]


def test_closing_sends_what_is_kept_first() -> None:
    """Nothing is lost when a connection is closed in the turn that wrote, and nothing is sent twice."""
    transport, turn, writes = joined()
    writes.write(b"last")
    writes.close()
    turn.pop()()
    assert transport.heard == [b"last", "close"]


def test_the_rest_is_the_transports_own() -> None:
    """Whatever else is asked, the transport answers."""
    transport, _, writes = joined()
    assert not writes.is_closing()
    transport.close()
    assert writes.is_closing()
