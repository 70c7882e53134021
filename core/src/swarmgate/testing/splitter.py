"""What every splitter must do, as properties that hold for any model and any workers."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmgate.api import ModelCard, NodeId, Service, SplitPlan, Splitter, Unavailable, Worker
from swarmgate.testing.balancer import steady
from swarmgate.testing.makers import a_card, a_worker

_GIB = 1 << 30
_WEIGHTS = st.integers(1, 256 * _GIB)
_HERE = st.integers(0, 256 * _GIB)
_MODEL = st.builds(a_card, weight_bytes=_WEIGHTS, layers=st.integers(1, 128), context_length=st.integers(0, 1 << 17))
_MEMORIES = st.lists(st.integers(0, 128 * _GIB), max_size=6)
#: Of rounding, relative to the weights.
_ROUNDING = 1e-6

Key = tuple[NodeId, Service, str]


class SplitterContract:
    """Runs a splitter through its contract."""

    #: Whether it looks at sizes; False for one that keeps every model here whatever its size.
    weighs = True

    def make(self) -> Splitter:
        """Return a splitter."""
        raise NotImplementedError

    def test_meets_the_protocol(self) -> None:
        """It has the method a splitter needs."""
        assert isinstance(self.make(), Splitter)

    @steady
    @given(_MODEL, _HERE, _MEMORIES)
    def test_shares_sum_to_one(self, model: ModelCard, here: int, memories: list[int]) -> None:
        """Every part of the model is somewhere, once; no share is empty or more than all."""
        plan = self._plan(model, here, crew(memories))
        if plan is not None and plan.shares:
            assert sum(share.fraction for share in plan.shares) == pytest.approx(1.0)
            assert all(0.0 < share.fraction <= 1.0 for share in plan.shares)

    @steady
    @given(_MODEL, _HERE, _MEMORIES)
    def test_shares_are_of_workers_that_were_given(self, model: ModelCard, here: int, memories: list[int]) -> None:
        """Nobody takes part twice, and nobody who was not asked."""
        workers = crew(memories)
        plan = self._plan(model, here, workers)
        if plan is not None:
            assert max(Counter(holdings(plan).keys()).values(), default=1) == 1
            assert len(holdings(plan)) == len(plan.shares)
            assert all(worker in workers for worker in plan.workers)

    @steady
    @given(_MODEL, _HERE, _MEMORIES)
    def test_nobody_gets_more_than_fits(self, model: ModelCard, here: int, memories: list[int]) -> None:
        """No worker's share of the weights is larger than its memory, and neither is ours."""
        workers = crew(memories)
        plan = self._plan(model, here, workers)
        if plan is None or not self.weighs:
            return
        room: dict[Key | None, int] = {
            worker.offer.key: memory for worker, memory in zip(workers, memories, strict=True)
        }
        room[None] = here
        for key, fraction in (holdings(plan) or {None: 1.0}).items():
            assert fraction * model.weight_bytes <= room[key] + _ROUNDING * model.weight_bytes

    @steady
    @given(_MODEL, _HERE, _MEMORIES)
    def test_the_same_input_gives_the_same_plan(self, model: ModelCard, here: int, memories: list[int]) -> None:
        """Neither chance, time nor earlier plans have a say."""
        splitter, workers = self.make(), crew(memories)
        first = planned(splitter, model, here, workers)
        planned(splitter, a_card("other", weight_bytes=_GIB), 2 * here, workers[:1])
        assert planned(splitter, model, here, workers) == first
        assert planned(self.make(), model, here, workers) == first

    @steady
    @given(_MODEL, _HERE, _MEMORIES, st.randoms(use_true_random=False))
    def test_the_order_of_workers_is_irrelevant(
        self, model: ModelCard, here: int, memories: list[int], lots: random.Random
    ) -> None:
        """Who gets what does not depend on who was heard of first."""
        workers = crew(memories)
        shuffled = list(workers)
        lots.shuffle(shuffled)
        one, two = self._plan(model, here, workers), self._plan(model, here, shuffled)
        assert (one is None) == (two is None)
        if one is not None and two is not None:
            assert holdings(one) == pytest.approx(holdings(two))

    @steady
    @given(_MODEL, _MEMORIES)
    def test_what_easily_fits_here_is_not_refused(self, model: ModelCard, memories: list[int]) -> None:
        """With several times the weights free on this machine there is always a plan."""
        assert self._plan(model, 8 * model.weight_bytes + 64 * _GIB, crew(memories)) is not None

    @steady
    @given(_MODEL, _MEMORIES)
    def test_what_fits_nowhere_is_refused_with_numbers(self, model: ModelCard, memories: list[int]) -> None:
        """Where all memory together is too little, the error says how much there is and is needed."""
        if not self.weighs:
            return
        small = [memory * model.weight_bytes // (max(sum(memories), 1) * 2) for memory in memories]
        with pytest.raises(Unavailable) as caught:
            self.make().plan(model, model.weight_bytes // 4, crew(small))
        assert len(re.findall(r"\d+", str(caught.value))) >= 2

    @pytest.mark.parametrize("label", [None, "", "much", "-5", "nan"])
    def test_a_worker_that_does_not_say_its_memory_gets_nothing(self, label: str | None) -> None:
        """A missing or unreadable label is no memory, and no reason to fail."""
        workers = [a_worker("dumb", memory_bytes=label), a_worker("good", memory_bytes=64 * _GIB)]
        plan = self.make().plan(a_card(weight_bytes=8 * _GIB, layers=32), 64 * _GIB, workers)
        assert workers[0] not in plan.workers

    def _plan(self, model: ModelCard, here: int, workers: Sequence[Worker]) -> SplitPlan | None:
        plan = planned(self.make(), model, here, workers)
        return plan if isinstance(plan, SplitPlan) else None


def crew(memories: Sequence[int]) -> list[Worker]:
    """Return one worker per entry of *memories*, with so many bytes."""
    return [a_worker(f"w{number}", memory_bytes=memory) for number, memory in enumerate(memories)]


def holdings(plan: SplitPlan) -> dict[Key | None, float]:
    """Return the fraction each offer's key holds, None being this machine."""
    return {share.worker.offer.key if share.worker else None: share.fraction for share in plan.shares}


def planned(splitter: Splitter, model: ModelCard, here: int, workers: Sequence[Worker]) -> SplitPlan | str:
    """Return the plan, or the message of the refusal."""
    try:
        return splitter.plan(model, here, workers)
    except Unavailable as refusal:
        return str(refusal)
