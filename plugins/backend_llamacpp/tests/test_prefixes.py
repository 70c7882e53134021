"""The radix tree of kept prompts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from swarmgate_backend_llamacpp.engine.prefixes import Match, PrefixTree, common_length

paths = st.lists(st.integers(0, 2), max_size=8).map(tuple)


def naive_length(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """Count leading equal tokens one by one."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


@given(paths, paths)
def test_common_length_counts_what_a_loop_counts(one: tuple[int, ...], other: tuple[int, ...]) -> None:
    """Halving finds the same length as comparing token by token."""
    assert common_length(one, other) == naive_length(one, other)


@given(st.lists(st.tuples(st.integers(0, 5), st.one_of(st.none(), paths)), max_size=30), paths)
def test_matches_what_a_list_of_paths_matches(
    steps: list[tuple[int, tuple[int, ...] | None]], wanted: tuple[int, ...]
) -> None:
    """After any inserts and removals the longest match is that of a plain dictionary, and its holder has it."""
    tree, plain = PrefixTree(), dict[int, tuple[int, ...]]()
    for holder, path in steps:
        if path is None:
            tree.remove(holder)
            plain.pop(holder, None)
        else:
            tree.insert(holder, path)
            plain.pop(holder, None)
            plain[holder] = path
    longest = max((naive_length(path, wanted) for path in plain.values()), default=0)
    match = tree.match(wanted)
    assert (match.length if match else 0) == longest
    if match is not None:
        assert naive_length(plain[match.holder], wanted) == longest
    assert tree.holders() == list(plain)
    assert {holder: tree.length(holder) for holder in plain} == {h: len(p) for h, p in plain.items()}
    for holder, path in plain.items():
        covered = {other for other, its in plain.items() if other != holder and its == path[: len(its)]}
        assert set(tree.covered(holder)) == covered


def test_prefers_the_holder_it_is_told_to() -> None:
    """Of equally long matches the preferred holder is named; without one the lowest."""
    tree = PrefixTree()
    for holder in (3, 1, 2):
        tree.insert(holder, (7, 8, 9))
    assert tree.match((7, 8, 0)) == Match(1, 2)
    assert tree.match((7, 8, 0), prefer=lambda holder: holder == 2) == Match(2, 2)
    assert tree.match((7, 8, 0), prefer=lambda _: False) == Match(1, 2)


def test_use_makes_young() -> None:
    """The oldest holder is the one neither inserted nor touched for longest."""
    tree = PrefixTree()
    for holder in (1, 2, 3):
        tree.insert(holder, (holder,))
    tree.touch(1)
    tree.touch(99)
    assert tree.holders() == [2, 3, 1]


def test_splitting_and_joining_leave_no_litter() -> None:
    """Edges that were split for a path are joined again when it goes."""
    tree = PrefixTree()
    tree.insert(1, (1, 2, 3, 4))
    tree.insert(2, (1, 2, 9))
    tree.remove(2)
    assert repr(tree) == "<PrefixTree 1 holders, 1 nodes>"
    tree.remove(1)
    assert repr(tree) == "<PrefixTree 0 holders, 0 nodes>"
