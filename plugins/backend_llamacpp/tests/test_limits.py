from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from swarmgate_backend_llamacpp.rpc.hello import Memory
from swarmgate_backend_llamacpp.rpc.limits import offered, share

sizes = st.integers(0, 2**50)


@given(st.integers(1, 2**50), st.lists(sizes, max_size=6))
def test_a_limit_is_shared_out(limit: int, totals: list[int]) -> None:
    """Together devices give no more than the limit, each no more than it has, and all that is allowed."""
    shares = share(limit, totals)
    assert sum(shares) == min(limit, sum(totals))
    assert all(0 <= part <= total for part, total in zip(shares, totals, strict=True))


def test_no_limit_leaves_everything() -> None:
    """Unset, all of every device is lent."""
    assert share(0, [5, 7]) == [5, 7]


@given(sizes, sizes, sizes, sizes)
def test_what_is_offered_is_there_and_allowed(part: int, free: int, total: int, used: int) -> None:
    """What is free of the share is neither more than is free, nor more than the share has left."""
    offer = offered(part, Memory(free, total), used)
    assert 0 <= offer.free <= min(free, part)
    assert offer.free + used <= max(part, used)
    assert offer.total == part
