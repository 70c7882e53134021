"""When cells are freed."""

from __future__ import annotations

from swarmgate_backend_llamacpp.engine.cells import CellBook


def test_sequences_are_free_again_only_after_a_sweep() -> None:
    """Giving up a sequence does not free it; sweeping does."""
    book = CellBook(2, exact=True)
    one = book.take()
    book.give_up(one)
    assert (book.free, book.dirty) == (1, True)
    assert book.sweep() == [one]
    assert (book.free, book.dirty) == (2, False)


def test_a_sweep_that_frees_cells_makes_the_rest_stale() -> None:
    """What lay in the cache before the sweep is stale; what is taken afterwards is not."""
    book = CellBook(3, exact=True)
    gone, stays = book.take(), book.take()
    book.wrote(gone, 10)
    book.give_up(gone)
    book.sweep()
    assert book.stale(stays)
    assert not book.stale(book.take())


def test_inherited_cells_make_nothing_stale() -> None:
    """Clearing a sequence whose cells all live on in another frees none, so nothing is stale."""
    book = CellBook(3, exact=True)
    gone, heir = book.take(), book.take()
    book.wrote(gone, 10)
    book.give_up(gone, inherited=True)
    book.sweep()
    assert not book.stale(heir)


def test_sweeps_wait_until_they_are_worth_it() -> None:
    """A little waste waits; more is swept while idle; under way only when most is waste."""
    book = CellBook(4, exact=True)
    kept, one, two = book.take(), book.take(), book.take()
    book.wrote(kept, 1000)
    book.wrote(one, 400)
    book.give_up(one)
    assert not book.due(idle=True)
    book.wrote(two, 300)
    book.give_up(two)
    assert book.due(idle=True)
    assert not book.due(idle=False)


def test_inexact_frees_at_once_and_calls_nothing_stale() -> None:
    """Without the promise of exactness there is nothing to wait for."""
    book = CellBook(2, exact=False)
    gone, stays = book.take(), book.take()
    book.wrote(gone, 1)
    book.give_up(gone)
    assert book.due(idle=False)
    book.sweep()
    assert not book.stale(stays)
