from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from swarmgate.allotment import Decision, Wish, allot, available, held_here, memory_of, placed, same, stands
from swarmgate.chat import ModelCard
from swarmgate.errors import Unavailable
from swarmgate.nouns import Endpoint, Worker
from swarmgate.split import Placement, Portion, Share, SplitPlan
from swarmgate.testing import a_card, a_worker


class Simple:
    """Keeps here what fits, else divides by memory; refuses what does not fit into all of it together."""

    def plan(self, model: ModelCard, here: int, workers: Sequence[Worker]) -> SplitPlan:
        if model.placement == "local" or (model.placement != "split" and model.weight_bytes <= here):
            return SplitPlan(portions=(Portion(weights=model.weight_bytes),))
        total = here + sum(map(memory_of, workers))
        if not workers or not total or model.weight_bytes > total:
            raise Unavailable(f"{model.name} needs {model.weight_bytes}, there are {total}")
        shares = (Share(worker=None, fraction=here / total),) if here else ()
        shares += tuple(Share(worker=each, fraction=memory_of(each) / total) for each in workers if memory_of(each))
        return SplitPlan(shares=shares, portions=(Portion(weights=model.weight_bytes * here // total),))


def wish(
    name: str, size: int, *, placement: Placement = "auto", held: SplitPlan | None = None, fixed: bool = False
) -> Wish:
    return Wish(name=name, card=a_card(name, weight_bytes=size, placement=placement), held=held, fixed=fixed)


def a_crew(*memories: int) -> list[Worker]:
    return [
        a_worker(f"w{number}", memory_bytes=memory, endpoint=Endpoint("127.0.0.1", number + 1))
        for number, memory in enumerate(memories)
    ]


def decide(wishes: Sequence[Wish], here: int, crew: Sequence[Worker]) -> dict[str, Decision]:
    return allot(wishes, here, crew, Simple())


def workers_of(decision: Decision) -> str:
    assert isinstance(decision, SplitPlan), decision
    return " ".join(sorted(worker.offer.name for worker in decision.workers))


def test_what_fits_here_stays_here_and_leaves_less_for_the_next() -> None:
    """Two models that would each fit alone do not both: the second is split."""
    decided = decide([wish("a", 60), wish("b", 60)], 100, a_crew(50))
    assert workers_of(decided["a"]) == ""
    assert workers_of(decided["b"]) == "w0"


def test_one_model_that_is_split_gets_everybody() -> None:
    """With nobody else in need, all workers take part, in proportion."""
    decided = decide([wish("a", 100)], 50, a_crew(50, 10, 100))
    assert workers_of(decided["a"]) == "w0 w1 w2"


def test_several_models_share_the_workers() -> None:
    """Each gets enough before anybody gets more, and nobody is in two plans."""
    decided = decide([wish("big", 100, placement="split"), wish("small", 40, placement="split")], 0, a_crew(50, 60, 70))
    assert workers_of(decided["big"]) == "w1 w2"
    assert workers_of(decided["small"]) == "w0"


def test_who_has_a_plan_is_not_driven_out() -> None:
    """A newcomer gets what is free, or a refusal with the numbers; the other keeps its worker."""
    crew = a_crew(50, 50)
    held = SplitPlan(shares=(Share(worker=crew[0], fraction=1.0),))
    decided = decide([wish("new", 90), wish("old", 40, placement="split", held=held, fixed=True)], 0, crew)
    assert decided["old"] is held
    refusal = decided["new"]
    assert isinstance(refusal, Unavailable)
    assert str(refusal) == "new needs 90, there are 50"


def test_who_lost_a_worker_goes_on_with_the_others() -> None:
    """It keeps those it has, and takes a free one if it needs to."""
    crew = a_crew(50, 50, 50)
    held = SplitPlan(shares=tuple(Share(worker=worker, fraction=0.5) for worker in crew[:2]))
    decided = decide([wish("a", 40, placement="split", held=held)], 0, crew[1:2])
    assert workers_of(decided["a"]) == "w1"
    decided = decide([wish("a", 90, placement="split", held=held)], 0, crew[1:])
    assert workers_of(decided["a"]) == "w1 w2"


def test_a_worker_that_somebody_else_has_is_not_available() -> None:
    """Nor one the model shall do without; its own counts with the memory it had before the model went in."""
    free, leased, own = a_crew(5, 6, 7)
    leased = replace(leased, offer=replace(leased.offer, labels={"memory_bytes": "6", "leased_by": "bob"}))
    now = replace(own, offer=replace(own.offer, labels={"memory_bytes": "1", "leased_by": "us"}))
    held = SplitPlan(shares=(Share(worker=own, fraction=1.0),))
    mine = wish("a", 1, held=held)
    assert available(mine, [free, leased, now]) == [own, free]
    assert available(mine, [free, leased, now], frozenset({free.offer.key})) == [own]
    assert available(replace(mine, without=frozenset({own.offer.key})), [free, leased, now]) == [free]
    moved = replace(now, endpoint=Endpoint("127.0.0.1", 99))
    assert available(mine, [moved]) == []


@pytest.mark.parametrize(("label", "memory"), [("12", 12), ("", 0), ("-1", 0), ("1e3", 0), ("9" * 30, 0)])
def test_memory_is_read_from_the_label(label: str, memory: int) -> None:
    """What is no number of bytes is no memory."""
    assert memory_of(a_worker("w", memory_bytes=label)) == memory
    assert memory_of(a_worker("w")) == 0


def test_plans_are_compared_by_places_and_fractions() -> None:
    """Reasons and labels change all the time; another endpoint or fraction is another plan."""
    (worker,) = a_crew(5)
    plan = SplitPlan(shares=(Share(worker=worker, fraction=1.0),), reason="5 B free")
    relabelled = replace(worker, offer=replace(worker.offer, labels={}, sequence=7))
    assert same(plan, SplitPlan(shares=(Share(worker=relabelled, fraction=1.0),), reason="4 B free"))
    moved = replace(worker, endpoint=Endpoint("127.0.0.1", 9))
    assert not same(plan, SplitPlan(shares=(Share(worker=moved, fraction=1.0),)))
    assert not same(plan, SplitPlan())
    assert not same(plan, None)
    assert same(None, None)
    assert stands(plan, [relabelled])
    assert not stands(plan, [moved])
    assert not stands(plan, [])


def test_the_placement_of_the_gateway_is_filled_in_where_a_model_says_none() -> None:
    """The model's own word counts more."""
    assert placed(a_card("a"), "split").placement == "split"
    assert placed(a_card("a", placement="local"), "split").placement == "local"


@given(
    st.lists(st.tuples(st.integers(0, 100), st.sampled_from(["auto", "local", "split"])), max_size=4),
    st.integers(0, 150),
    st.lists(st.integers(0, 60), max_size=5),
)
def test_nobody_is_promised_twice(models: list[tuple[int, Placement]], here: int, memories: list[int]) -> None:
    """Every model gets an answer; no worker is in two plans; what is placed here on purpose fits here."""
    wishes = [wish(f"m{number}", size, placement=placement) for number, (size, placement) in enumerate(models)]
    decided = decide(wishes, here, a_crew(*memories))
    assert decided.keys() == {each.name for each in wishes}
    plans = [plan for plan in decided.values() if isinstance(plan, SplitPlan)]
    keys = [worker.offer.key for plan in plans for worker in plan.workers]
    assert len(keys) == len(set(keys))
    forced = sum(size for size, placement in models if placement == "local")
    assert sum(map(held_here, plans)) <= max(here, forced + here)
    assert decided == decide(wishes, here, a_crew(*memories)) or any(
        isinstance(each, Unavailable) for each in decided.values()
    )
