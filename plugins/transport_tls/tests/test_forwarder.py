"""The supervisor's book: what a fresh child is told, and what is made of what a child says."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs
from swarmgate.api import NodeId, Unreachable
from swarmgate.testing import a_swarm
from swarmgate_transport_tls.forwarder import Forwarder, Held
from swarmgate_transport_tls.messages import Configure, Done, Expose, Listen, Measured, Reach, TurnedAway

REACH = Reach(1, NodeId("12D3"), "10.0.0.5", 7479, "gateway")
LISTEN = Listen(2, "", 7479, any_port=True)
EXPOSE = Expose(3, "gateway", "127.0.0.1", 8080)


def a_forwarder(*held: Held) -> Forwarder:
    """Return one whose child has not been started, with what it holds."""
    made = Forwarder(a_swarm("owner")[0], timeout_seconds=0.01)
    made._held.update({one.frame.id: one for one in held})  # pyright: ignore[reportPrivateUsage]  # as hold() does
    return made


def test_a_first_child_is_told_who_we_are() -> None:
    """The key comes first, by the pipe, and what had been asked for before it ran comes after."""
    made = a_forwarder(Held(LISTEN), Held(EXPOSE), Held(REACH))
    who, *rest = made.started()
    assert isinstance(who, Configure)
    assert rest == [LISTEN, EXPOSE, REACH]


def test_a_later_child_keeps_the_ports() -> None:
    """What was given out stays as it is: the listener's port, and where a path begins."""
    made = a_forwarder(Held(LISTEN), Held(EXPOSE), Held(REACH))
    for done in (Done(2, "::", 40001), Done(3), Done(1, "127.0.0.1", 40002)):
        made.received(done)
    _, listen, expose, reach = made.started()
    assert listen == Listen(2, "", 40001, again=True)
    assert expose == EXPOSE
    assert reach == Reach(1, NodeId("12D3"), "10.0.0.5", 7479, "gateway", local_port=40002)


def test_who_was_revoked_meanwhile_is_told() -> None:
    """A fresh child knows of every revocation."""
    one, other = a_swarm()
    made = Forwarder(one, timeout_seconds=1)
    one.revocations.add(other.id)
    (who,) = made.started()
    assert isinstance(who, Configure)
    assert who.revoked == (other.id,)


def test_a_path_knows_how_it_does() -> None:
    """A round trip is kept; a loss takes its place with the reason, is logged once, and passes with the next."""
    held = Held(REACH)
    made = a_forwarder(held)
    made.received(Done(1, "127.0.0.1", 40002))
    with capture_logs() as logs:
        made.received(Measured(1, rtt_seconds=0.25))
        assert (held.rtt_seconds, held.reason) == (0.25, "")
        for _ in range(3):
            made.received(Measured(1, reason="it has gone"))
        assert (held.rtt_seconds, held.reason) == (None, "it has gone")
        made.received(Measured(1, rtt_seconds=0.5))
        assert (held.rtt_seconds, held.reason) == (0.5, "")
    assert [(log["event"], log["address"]) for log in logs] == [
        ("transport.path_lost", "tls://12D3@10.0.0.5:7479/gateway")
    ]


def test_a_death_is_amiss_with_every_path() -> None:
    """While there is no child, each way says so."""
    held = Held(REACH)
    made = a_forwarder(held)
    made.received(Done(1, "127.0.0.1", 40002))
    made.died("was killed by SIGKILL")
    assert held.reason == "the TLS forwarder was killed by SIGKILL, and is being restarted"


def test_what_is_no_longer_held_is_ignored() -> None:
    """An answer may cross with our losing interest."""
    made = a_forwarder()
    made.received(Done(9, reason="refused"))
    made.received(Measured(9, reason="it has gone"))


def test_strangers_are_logged() -> None:
    """The operator sees from where, why, and how many."""
    with capture_logs() as logs:
        a_forwarder().received(TurnedAway("10.0.0.9", "it does not belong to this swarm", more=7))
    (log,) = logs
    assert (log["event"], log["address"], log["more"]) == ("transport.turned_away", "10.0.0.9", 7)


@pytest.mark.anyio
async def test_a_child_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks is told so in bounded time, with how the last child ended, and nothing is left in the book."""
    monkeypatch.setattr("swarmgate_transport_tls.forwarder._START_SECONDS", 0.05)
    made = a_forwarder()
    made.died("exited with status 70")
    with pytest.raises(Unreachable, match="does not answer: it exited with status 70"):
        await made.hold(REACH)
    assert len(made.started()) == 1
