"""Copies of the book over links that lose, repeat and reorder, and that part and meet again, as a state machine."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from swarmgate.nouns import LLAMA_RPC, Offer
from swarmgate.swarm.replica import Replica
from swarmgate.testing import a_swarm

MEMBERS = a_swarm("owner", "owner", "owner", "owner")
NODES = st.integers(0, len(MEMBERS) - 1)
NAMES = st.sampled_from(["x", "y"])


class Copies(RuleBasedStateMachine):
    """Four nodes; the model is what each owner last said, and when that ends."""

    @initialize()
    def begin(self) -> None:
        self.now = 0.0
        self.replicas = [Replica(member) for member in MEMBERS]
        self.queue: list[tuple[int, int, bytes, bool]] = []
        self.island = [0] * len(MEMBERS)
        self.said: dict[tuple[int, str], tuple[Offer, float]] = {}
        self.sequences = [0] * len(MEMBERS)

    def send(self, sender: int, message: bytes, *to: int, direct: bool = False) -> None:
        for each in to or [other for other in range(len(MEMBERS)) if other != sender]:
            if self.island[each] == self.island[sender]:
                self.queue.append((sender, each, message, direct))

    @rule(node=NODES, name=NAMES, lifetime=st.sampled_from([5.0, 60.0, 600.0]))
    def post(self, node: int, name: str, lifetime: float) -> None:
        self.sequences[node] += 1
        offer = Offer(
            node=MEMBERS[node].id,
            service=LLAMA_RPC,
            name=name,
            addresses=(),
            labels={"n": str(self.sequences[node])},
            sequence=self.sequences[node],
            lifetime=lifetime,
        )
        self.send(node, self.replicas[node].post(offer, self.now))
        self.said[node, name] = (offer, self.now + lifetime)

    @rule(node=NODES, name=NAMES)
    def withdraw(self, node: int, name: str) -> None:
        offer, _ = self.said.pop((node, name), (None, 0.0))
        if offer is not None:
            self.send(node, self.replicas[node].withdraw(offer, self.now))

    @rule(node=NODES)
    def restart(self, node: int) -> None:
        """The book is lost, the key and the count are not; what the node had offered it offers no more."""
        self.replicas[node] = Replica(MEMBERS[node])
        self.sequences[node] += 1000

    @rule(seconds=st.sampled_from([0.5, 4.0, 50.0, 700.0]))
    def pass_time(self, seconds: float) -> None:
        """What was under way for long is lost: the ages in it know nothing of that."""
        self.now += seconds
        if seconds > 1.0:
            self.queue.clear()

    @precondition(lambda self: self.queue)
    @rule(data=st.data(), fate=st.sampled_from(["arrive", "arrive", "arrive", "twice", "lost"]))
    def deliver(self, data: st.DataObject, fate: str) -> None:
        sender, to, message, direct = self.queue.pop(data.draw(st.integers(0, len(self.queue) - 1)))
        if fate == "lost" or self.island[to] != self.island[sender]:
            return
        for _ in range(2 if fate == "twice" else 1):
            received = self.replicas[to].receive(message, self.now, direct=direct)
            for reply in received.replies:
                self.send(to, reply, sender, direct=True)
            for each in received.spread:
                self.send(to, each)

    @rule(islands=st.lists(st.integers(0, 1), min_size=len(MEMBERS), max_size=len(MEMBERS)))
    def part(self, islands: list[int]) -> None:
        self.island = islands

    @rule(node=NODES, other=NODES)
    def compare(self, node: int, other: int) -> None:
        if node != other:
            self.send(node, self.replicas[node].digest(self.now), other, direct=True)

    @invariant()
    def nothing_stands_that_nobody_said(self) -> None:
        """A copy may lag behind, but never runs ahead, nor keeps what has lapsed by its owner's clock."""
        slack = 1.0 * 20  # what the links' delays (half a second at a time) can add up to in one run
        for replica in getattr(self, "replicas", ()):
            for offer in replica.standing(self.now):
                node = next(index for index, member in enumerate(MEMBERS) if member.id == offer.node)
                assert offer.sequence <= self.sequences[node]
                current = self.said.get((node, offer.name))
                if current is not None and current[0].sequence == offer.sequence:
                    assert self.now < current[1] + slack

    def teardown(self) -> None:
        """Joined again, each with each, all copies say the same: the last that each owner said, if it still stands."""
        if not hasattr(self, "replicas"):
            return
        self.queue.clear()
        self.island = [0] * len(MEMBERS)
        for _ in range(2):
            for node in range(len(MEMBERS)):
                for other in range(len(MEMBERS)):
                    self.compare(node, other)
                    while self.queue:
                        sender, to, message, direct = self.queue.pop(0)
                        received = self.replicas[to].receive(message, self.now, direct=direct)
                        for reply in received.replies:
                            self.send(to, reply, sender, direct=True)
        books = [replica.standing(self.now) for replica in self.replicas]
        assert all(book == books[0] for book in books)
        kept = {offer.key: offer for offer in books[0]}
        for (node, name), (offer, until) in self.said.items():
            if self.knows(node, offer) and self.now < until:
                assert kept[MEMBERS[node].id, LLAMA_RPC, name] == offer

    def knows(self, node: int, offer: Offer) -> bool:
        """Return whether any copy still has *offer*: a restart may have been the end of the only one."""
        return any(offer in replica.standing(self.now) for replica in self.replicas)


TestCopies = Copies.TestCase
TestCopies.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
