"""From shares to layers, as llama.cpp rounds."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_layout import Loading, load, workers
from msgspec.structs import astuple
from swarmgate.api import Footprint, ModelCard, Share, SplitPlan, Worker
from swarmgate.testing import a_card, a_worker
from swarmgate_backend_llamacpp.layout import device_of_units, layers_of, split_arguments
from tinygguf import Shape, write_llama

A, B, C = a_worker("a"), a_worker("b"), a_worker("c")
CARD = a_card(
    weight_bytes=1 + 4 * 10 + 5, layers=4,
    footprint=Footprint(input=1, layers=(10, 10, 10, 10), output=6, cache=(2, 2, 2, 2), compute=3, output_compute=100),
)  # fmt: skip


def a_plan(*shares: tuple[Worker | None, float]) -> SplitPlan:
    return SplitPlan(shares=tuple(Share(worker=worker, fraction=fraction) for worker, fraction in shares))


@given(st.integers(0, 40), st.lists(st.integers(1, 40), min_size=1, max_size=17))
def test_whole_numbers_come_out_as_they_went_in(here: int, counts: list[int]) -> None:
    """In llama.cpp's single precision too: each device gets exactly the units given as its share."""
    devices = device_of_units(here + sum(counts), sum(counts), tuple(map(float, counts)))
    assert devices.count(None) == here
    assert [devices.count(number) for number in range(len(counts))] == counts


@given(st.integers(1, 130), st.lists(st.integers(0, 50), min_size=2, max_size=17).filter(any))
def test_whole_shares_are_recovered(layers: int, weights: list[int]) -> None:
    """Fractions that stand for whole units are read as those units, however many add up."""
    units, total = layers + 1, sum(weights)
    ends = [units * sum(weights[: number + 1]) // total for number in range(len(weights))]
    counts = [end - begin for begin, end in zip([0, *ends], ends, strict=False)]
    places = [None, *(a_worker(f"w{number}") for number in range(len(weights) - 1))]
    given = [(place, count / units) for place, count in zip(places, counts, strict=True) if count]
    arguments = split_arguments(a_plan(*given), a_card(layers=layers))
    assert arguments.tensor_split == tuple(float(count) for count in counts[1:] if count)
    assert arguments.n_gpu_layers == units - counts[0]


@given(st.integers(1, 130), st.lists(st.floats(0.01, 1.0), min_size=1, max_size=17))
def test_any_shares_cover_the_model_once(layers: int, weights: list[float]) -> None:
    """Whatever a splitter says, the places hold every layer once, in order, and the last one the output."""
    places = [None, *(a_worker(f"w{number}") for number in range(len(weights) - 1))]
    plan = a_plan(*zip(places, (weight / sum(weights) for weight in weights), strict=True))
    portions = layers_of(plan, a_card(layers=layers, weight_bytes=1 << 30))
    assert [portion.first for portion in portions] == [0, *(portion.end for portion in portions[:-1])]
    assert portions[-1].end == layers
    assert [portion.output for portion in portions] == [False] * (len(portions) - 1) + [True]
    assert sum(portion.share for portion in portions) == pytest.approx(1.0)


def test_no_shares_mean_all_of_it_here() -> None:
    """The matrix that both ends use is then there once."""
    (portion,) = layers_of(SplitPlan(), CARD)
    assert astuple(portion) == (None, 0, 4, True, 46, 8, 103, 1.0)
    assert portion.total == 157
    assert split_arguments(SplitPlan(), CARD) == split_arguments(a_plan((None, 1.0)), CARD)


def test_sizes_follow_the_layers() -> None:
    """Here are the first layers and the input, with the last worker the output and its computing."""
    portions = layers_of(a_plan((A, 0.4), (None, 0.2), (B, 0.4)), CARD)  # this machine is first all the same
    assert tuple(map(astuple, portions)) == (
        (None, 0, 1, False, 11, 2, 3, 0.2), (A, 1, 3, False, 20, 4, 3, 0.4), (B, 3, 4, True, 16, 2, 103, 0.4),
    )  # fmt: skip


def test_here_may_hold_nothing_but_the_input() -> None:
    """All layers on workers: the looked-up tensors stay all the same."""
    here, worker = layers_of(a_plan((A, 1.0)), CARD)
    assert (here.first, here.end, here.weights, here.cache) == (0, 0, 1, 0)
    assert (worker.first, worker.end, worker.weights) == (0, 4, 46)


def test_a_share_of_less_than_a_layer_is_left_out() -> None:
    """A worker that would get nothing is no device of llama.cpp's."""
    arguments = split_arguments(a_plan((None, 0.4), (A, 0.001), (B, 0.001), (C, 0.598)), CARD)
    assert [worker.offer.name for worker in arguments.workers] == ["a", "c"]
    assert arguments.tensor_split == (1.0, 2.0)


def test_a_card_without_footprint_is_spread_evenly() -> None:
    """The output then counts like a layer."""
    here, worker = layers_of(a_plan((None, 0.5), (A, 0.5)), ModelCard(name="m", weight_bytes=100, layers=9))
    assert (here.weights, worker.weights) == (50, 50)


@pytest.mark.engine
@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ((0.3, 0.25, 0.45), "CPU CPU CPU RPC0 RPC0 RPC0 RPC1 RPC1 RPC1 RPC1"),
        ((0.0, 0.7, 0.3), "RPC0 RPC0 RPC0 RPC0 RPC0 RPC0 RPC0 RPC1 RPC1 RPC1"),
        ((0.9, 0.05, 0.05), "CPU CPU CPU CPU CPU CPU CPU CPU CPU RPC0"),
    ],
)
def test_as_llama_cpp_does(tmp_path: Path, shares: tuple[float, ...], expected: str) -> None:
    """The loader's own log puts each layer, and the output, where we say."""
    path = write_llama(tmp_path / "t.gguf", shape=Shape(layers=9))
    places = [None, A, B]
    plan = a_plan(*((place, share) for place, share in zip(places, shares, strict=True) if share))
    arguments = split_arguments(plan, a_card(layers=9))
    devices = device_of_units(10, arguments.n_gpu_layers, arguments.tensor_split)
    with workers(len(arguments.workers)) as ports:
        told = (arguments.n_gpu_layers, arguments.tensor_split)
        said = load(Loading(str(path), ports, *told)).layers
    assert said == tuple("CPU" if device is None else f"RPC{device}" for device in devices)
    assert " ".join(said) == expected


@pytest.mark.engine
def test_as_llama_cpp_rounds(tmp_path: Path) -> None:
    """Shares that are no whole layers, handed to llama.cpp as they are, fall where its arithmetic here says."""
    path = write_llama(tmp_path / "t.gguf", shape=Shape(layers=12))
    with workers(3) as ports:
        for split in ((0.1, 0.2, 0.7), (1 / 3, 1 / 3, 1 / 3), (7.3, 0.01, 2.2)):
            said = load(Loading(str(path), ports, n_gpu_layers=11, tensor_split=split)).layers
            assert said == tuple("CPU" if at is None else f"RPC{at}" for at in device_of_units(13, 11, split))
