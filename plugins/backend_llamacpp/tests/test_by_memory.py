"""Models over memories: who gets which layers, and who is told why not."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from swarmgate.api import Footprint, ModelCard, Portion, Splitter, Unavailable, Worker
from swarmgate.testing import SplitterContract, a_card, a_worker
from swarmgate_backend_llamacpp.by_memory import ByMemory
from swarmgate_backend_llamacpp.layout import footprint_of, layers_of

GIB = 1 << 30
MIB = 1 << 20
#: Forty layers of 1 GiB with 0.25 GiB of cache each, 2 GiB at both ends, 0.5 GiB to compute: 54.5 GiB.
BIG = a_card(
    "big",
    weight_bytes=44 * GIB,
    layers=40,
    footprint=Footprint(
        input=2 * GIB, layers=(GIB,) * 40, output=2 * GIB, cache=(GIB // 4,) * 40, compute=GIB // 2, output_compute=0
    ),
)
SIZES = st.integers(0, 64 * MIB)
FOOTPRINTS = st.integers(1, 40).flatmap(
    lambda layers: st.builds(
        Footprint,
        input=SIZES,
        layers=st.tuples(*[SIZES] * layers),
        output=SIZES,
        cache=st.tuples(*[SIZES] * layers),
        compute=SIZES,
        output_compute=SIZES,
    )
)


class TestContract(SplitterContract):
    """Run the splitter through the kit's contract."""

    weighs = True

    def make(self) -> Splitter:
        """Return a splitter."""
        return ByMemory()


def lent(*gibibytes: float) -> list[Worker]:
    return [a_worker(f"w{number}", memory_bytes=int(size * GIB)) for number, size in enumerate(gibibytes)]


def placed(card: ModelCard, here: float, workers: list[Worker], **options: Any) -> dict[str, Portion]:
    plan = ByMemory(**options).plan(card, int(here * GIB), workers)
    return {portion.worker.offer.name if portion.worker else "here": portion for portion in layers_of(plan, card)}


def sizes(card: ModelCard, here: float, workers: list[Worker], **options: Any) -> dict[str, int]:
    return {name: portion.end - portion.first for name, portion in placed(card, here, workers, **options).items()}


def test_what_fits_stays_here() -> None:
    """Weights, cache and room to compute fit: no shares, and the reason has the numbers."""
    plan = ByMemory().plan(BIG, 55 * GIB, lent(64))
    assert plan.shares == ()
    assert [(portion.worker, portion.end, portion.total) for portion in plan.portions] == [(None, 40, 109 * GIB // 2)]
    assert plan.reason == (
        "fits here: big needs 54.5 GiB (weights 44.0 GiB, KV cache 10.0 GiB, computing 512.0 MiB); here are 55.0 GiB"
    )


def test_what_nearly_fits_is_split() -> None:
    """A byte too little for the cache and computing counts: weights alone are not what a model takes."""
    assert ByMemory().plan(BIG, 54 * GIB + GIB // 2 - 1, lent(64)).shares


def test_equal_memories_get_equal_parts() -> None:
    """In bytes, not in layers: what is at the ends counts for those who hold it."""
    parts = placed(BIG, 32, lent(32))
    assert (parts["here"].end, parts["w0"].first, parts["w0"].end) == (20, 20, 40)
    assert parts["here"].total == parts["w0"].total


def test_parts_are_in_proportion_to_memory() -> None:
    """Twice the memory, twice the bytes, as near as whole layers allow; the largest comes last."""
    parts = placed(BIG, 20, lent(40, 20))
    assert list(parts) == ["here", "w1", "w0"]
    assert {name: round(part.total / GIB, 1) for name, part in parts.items()} == {"here": 13.8, "w1": 14.2, "w0": 27.5}


def test_nobody_is_given_more_than_fits() -> None:
    """Of six parts of 3 GiB proportion would give the smaller place two, but it holds one."""
    card = a_card(weight_bytes=18 * GIB, layers=5)
    assert {name: part.weights for name, part in placed(card, 15.5, lent(5.5)).items()} == {
        "here": 15 * GIB,
        "w0": 3 * GIB,
    }


def test_the_last_place_has_room_for_the_output() -> None:
    """A large output goes to the largest worker, and the layers before it to the others."""
    heavy = Footprint(layers=(GIB,) * 4, output=18 * GIB, output_compute=GIB)
    card = a_card(weight_bytes=22 * GIB, layers=4, footprint=heavy)
    assert sizes(card, 3, lent(19, 3)) == {"here": 2, "w1": 2, "w0": 0}
    with pytest.raises(Unavailable):
        sizes(card, 3, lent(18.9, 3))


def test_a_worker_too_small_for_a_layer_is_left_out() -> None:
    """With its size and the size of a layer, computing included."""
    plan = ByMemory().plan(BIG, 32 * GIB, lent(32, 1))
    assert [worker.offer.name for worker in plan.workers] == ["w0"]
    assert plan.reason.endswith("left out: w1 (has 1.0 GiB, a layer takes 1.8 GiB)")


def test_a_worker_whose_part_rounds_to_nothing_is_left_out() -> None:
    """It could hold a layer, but in proportion would get less than half of one."""
    plan = ByMemory().plan(BIG, 50 * GIB, lent(400, 2))
    assert [worker.offer.name for worker in plan.workers] == ["w0"]
    assert plan.reason.endswith("left out: w1 (its part would be less than a layer)")


def test_a_silent_worker_is_left_out() -> None:
    """Whoever does not say its memory cannot be planned with, and is named."""
    plan = ByMemory().plan(BIG, 32 * GIB, [*lent(32), a_worker("dumb"), a_worker("long", memory_bytes="9" * 5000)])
    assert [worker.offer.name for worker in plan.workers] == ["w0"]
    assert "dumb (does not say how much memory it has)" in plan.reason
    assert "long (does not say how much memory it has)" in plan.reason


def test_no_more_workers_than_llama_cpp_allows() -> None:
    """Of twenty the sixteen largest take part; an operator may want fewer."""
    workers = lent(*(4 + number / 10 for number in range(20)))
    plan = ByMemory().plan(BIG, 4 * GIB, workers)
    assert {worker.offer.name for worker in plan.workers} == {f"w{number}" for number in range(4, 20)}
    assert "w3 (only 16 can take part)" in plan.reason
    assert len(ByMemory(most_workers=99).plan(BIG, 4 * GIB, workers).workers) == 16
    assert sizes(BIG, 4, lent(50, 60, 70), most_workers=1).keys() == {"here", "w2"}


def test_here_may_hold_only_the_input() -> None:
    """Too little for a layer beside what must stay here: all layers go to the workers."""
    parts = placed(BIG, 3, lent(60))
    assert (parts["here"].end, parts["here"].weights) == (0, 2 * GIB)
    assert parts["w0"].end == 40


@pytest.mark.parametrize(
    ("here", "workers", "said"),
    [
        (8.0, [], "here are 8.0 GiB and nobody lends any; lend more memory"),
        (8.0, [16.0, 4.0], "here are 8.0 GiB and workers lend w0 16.0 GiB, w1 4.0 GiB: 28.0 GiB in all; lend more"),
        (8.0, [16.0, 1.0], "25.0 GiB in all (left out: w1 (has 1.0 GiB, a layer takes 1.8 GiB)); lend more memory"),
        (2.0, [99.0], "here are 2.0 GiB and workers lend w0 99.0 GiB: 101.0 GiB in all"),
    ],
)
def test_what_fits_nowhere_is_refused(here: float, workers: list[float], said: str) -> None:
    """Every number is in the message: what is needed for what, what there is, who was left out and why."""
    with pytest.raises(Unavailable, match=re.escape(said)) as caught:
        ByMemory().plan(BIG, int(here * GIB), lent(*workers))
    needed = "big needs 54.5 GiB (weights 44.0 GiB, KV cache 10.0 GiB, computing 512.0 MiB); "
    assert str(caught.value).startswith(needed)


def test_a_refusal_names_the_last_resort() -> None:
    """Whoever would rather be slow than refused is told the word for it, and then gets a plan."""
    with pytest.raises(Unavailable, match=r'set placement = "local": llama\.cpp then reads from the file'):
        ByMemory().plan(BIG, 8 * GIB, [])
    assert ByMemory().plan(replace(BIG, placement="local"), 8 * GIB, []).portions[0].total == 109 * GIB // 2


def test_no_wish_is_auto() -> None:
    """A card without a placement is kept where it fits and split where it does not."""
    unset = replace(BIG, placement=None)
    assert ByMemory().plan(unset, 64 * GIB, lent(64)).shares == ()
    plan = ByMemory().plan(unset, 32 * GIB, lent(32))
    assert plan.shares
    assert plan.portions == layers_of(plan, unset)


@pytest.mark.parametrize("layers", [0, -1, 1 << 40])
def test_without_layers_nothing_can_be_split(layers: int) -> None:
    """A card that gives no sensible number of layers is served whole, or not at all, with the reason."""
    card = a_card(weight_bytes=GIB, layers=layers)
    assert ByMemory().plan(card, GIB, []).shares == ()
    with pytest.raises(Unavailable, match="nothing says how many layers it has, so it cannot be split"):
        ByMemory().plan(card, GIB - 1, lent(8))


def test_local_is_obeyed() -> None:
    """The model stays here whatever it weighs, and the reason does not hide it."""
    plan = ByMemory().plan(replace(BIG, placement="local"), GIB, lent(64))
    assert plan.shares == ()
    assert plan.reason.startswith("kept here as placement says: big needs 54.5 GiB")
    assert plan.reason.endswith("here are 1.0 GiB")


def test_split_is_obeyed() -> None:
    """What would fit is split all the same, in proportion."""
    assert sizes(replace(BIG, placement="split"), 64, lent(64)) == {"here": 20, "w0": 20}


def test_split_gives_somebody_a_layer_where_proportion_would_not() -> None:
    """A small worker beside a large machine takes what it can hold."""
    plan = ByMemory().plan(replace(BIG, placement="split"), 640 * GIB, lent(4))
    assert [share.fraction * 41 for share in plan.shares] == pytest.approx([40, 1])


@pytest.mark.parametrize("workers", [[], [1.0]])
def test_split_without_anybody_is_refused(workers: list[float]) -> None:
    """The message says that it would fit, and which word stands in the way."""
    with pytest.raises(Unavailable, match='it would fit here, but placement is "split"'):
        ByMemory().plan(replace(BIG, placement="split"), 64 * GIB, lent(*workers))


def test_for_equal_layers_it_is_the_largest_remainder() -> None:
    """Ten equal parts over 4, 3.6 and 3.4: remainders .64, .27, .09 give the one left over to the first."""
    card = a_card(weight_bytes=10 * GIB, layers=9)
    shares = ByMemory().plan(card, int(4.0 * GIB), lent(3.6, 3.4)).shares
    assert {share.worker.offer.name if share.worker else "here": round(share.fraction * 10) for share in shares} == {
        "here": 4,
        "w0": 3,
        "w1": 3,
    }


@settings(deadline=None)
@given(FOOTPRINTS, st.integers(0, 1 << 31), st.lists(st.integers(0, 1 << 30), max_size=5), st.booleans())
def test_a_plan_always_fits(footprint: Footprint, here: int, memories: list[int], forced: bool) -> None:
    """With any sizes of layers: what llama.cpp will put into a place, it has the memory for."""
    weights = footprint.input + sum(footprint.layers) + footprint.output
    placement = "split" if forced else "auto"
    card = a_card(weight_bytes=weights, layers=len(footprint.layers), footprint=footprint, placement=placement)
    workers = [a_worker(f"w{number}", memory_bytes=memory) for number, memory in enumerate(memories)]
    try:
        plan = ByMemory().plan(card, here, workers)
    except Unavailable:
        return
    room = {worker.offer.name: memory for worker, memory in zip(workers, memories, strict=True)}
    portions = layers_of(plan, card)
    for portion in portions:
        assert portion.total <= (room[portion.worker.offer.name] if portion.worker else here)
    assert forced <= (len(portions) > 1)
    assert plan.workers == tuple(portion.worker for portion in portions if portion.worker)


@settings(deadline=None)
@given(st.integers(2, 100), st.lists(st.integers(1, 64), min_size=2, max_size=6))
def test_with_room_to_spare_nobody_is_off_by_a_layer(layers: int, memories: list[int]) -> None:
    """Of equal layers each place gets what is proportional, less than one up or down."""
    card = a_card(weight_bytes=(layers + 1) * MIB, layers=layers, placement="split")
    here, *others = (memory * GIB for memory in memories)
    workers = [a_worker(f"w{number}", memory_bytes=memory) for number, memory in enumerate(others)]
    try:
        plan = ByMemory().plan(card, here, workers)
    except Unavailable:
        assert all(memory * (layers + 1) <= 0.5 * sum(memories) for memory in memories[1:])
        return
    got = {share.worker.offer.name if share.worker else "here": share.fraction for share in plan.shares}
    for name, memory in zip(["here", *(f"w{number}" for number in range(len(others)))], memories, strict=True):
        assert abs(got.get(name, 0.0) - memory / sum(memories)) * (layers + 1) < 1.0
    assert footprint_of(card).output == MIB


def test_workers_of_about_the_same_memory_keep_their_places() -> None:
    """However the little that is free more or less changes: what they keep of the last load is for those layers."""
    orders = {
        tuple(worker.offer.name for worker in ByMemory().plan(replace(BIG, placement="split"), 16 * GIB, crew).workers)
        for crew in (lent(30.0, 30.2, 64), lent(30.2, 30.0, 64), lent(30.1, 30.1, 63))
    }
    assert orders == {("w0", "w1", "w2")}
