from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from swarmgate_backend_llamacpp.rpc.desk import Desk, Lease, Visit

HOSTS = st.sampled_from(["10.0.0.1", "10.0.0.2"])


def test_the_lease_is_given_once() -> None:
    """A second gateway gets none, and the holder's name is known; when it is back, the next one gets it."""
    desk = Desk()
    first = desk.grant("alpha", "10.0.0.1")
    assert first is not None
    assert desk.grant("beta", "10.0.0.2") is None
    assert desk.holder == "alpha"
    desk.end(first)
    assert desk.holder == ""
    assert desk.grant("beta", "10.0.0.2") is not None


def test_a_client_without_a_lease_keeps_gateways_out() -> None:
    """Its address stands for the name it did not give."""
    desk = Desk()
    visit = desk.admit("10.0.0.3")
    assert visit is not None
    assert desk.grant("alpha", "10.0.0.1") is None
    assert desk.holder == "a llama.cpp client at 10.0.0.3"
    desk.leave(visit)
    assert desk.grant("alpha", "10.0.0.1") is not None


def test_only_the_holder_s_clients_come_in() -> None:
    """While a lease stands, others are turned away, and so is a second one of the holder's."""
    desk = Desk()
    desk.grant("alpha", "10.0.0.1")
    assert desk.admit("10.0.0.2") is None
    assert desk.admit("10.0.0.1") is not None
    assert desk.admit("10.0.0.1") is None


def test_the_holder_s_visit_ends_with_its_lease() -> None:
    """The next gateway need not wait until a dead one's connection is noticed."""
    desk = Desk()
    lease = desk.grant("alpha", "10.0.0.1")
    assert lease is not None
    visit = desk.admit("10.0.0.1")
    assert desk.end(lease) is visit
    assert desk.grant("beta", "10.0.0.2") is not None


def test_a_nameless_gateway_is_called_by_its_address() -> None:
    """Somebody who is refused is always told something."""
    desk = Desk()
    assert desk.grant("", "10.0.0.1") is not None
    assert desk.holder == "10.0.0.1"


class AnyOrder(RuleBasedStateMachine):
    """Whatever comes and goes, in whatever order."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk()
        self.leases: list[Lease] = []
        self.visits: list[Visit] = []

    @rule(host=HOSTS)
    def ask(self, host: str) -> None:
        if lease := self.desk.grant(f"gateway of {host}", host):
            self.leases.append(lease)

    @rule(host=HOSTS)
    def come(self, host: str) -> None:
        if visit := self.desk.admit(host):
            self.visits.append(visit)

    @precondition(lambda self: self.leases)
    @rule()
    def give_back(self) -> None:
        ending = self.desk.end(self.leases.pop())
        if ending is not None:
            self.visits.remove(ending)

    @precondition(lambda self: self.visits)
    @rule()
    def go(self) -> None:
        self.desk.leave(self.visits.pop())

    @invariant()
    def at_most_one(self) -> None:
        assert len(self.leases) <= 1
        assert len(self.visits) <= 1
        assert all(visit.lease in (None, *self.leases) for visit in self.visits)
        assert bool(self.desk.holder) == bool(self.leases or self.visits)


TestAnyOrder = AnyOrder.TestCase
