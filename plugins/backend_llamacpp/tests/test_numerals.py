from __future__ import annotations

from decimal import Decimal

from gbnfreader import GbnfReader
from hypothesis import example, given
from hypothesis import strategies as st
from swarmgate_backend_llamacpp.engine.gbnf import Grammar
from swarmgate_backend_llamacpp.engine.numerals import INTEGER, NUMBER, integer, number

BOUNDS = st.one_of(st.none(), st.integers(-120, 120), st.integers(-(10**6), 10**6))
DECIMALS = st.one_of(
    st.none(), st.decimals(-200, 200, places=2), st.decimals(-9, 9, places=1), st.integers(-9, 9).map(Decimal)
)


def reader(expression: str) -> GbnfReader:
    return GbnfReader(Grammar(param="test").text(expression))


@given(BOUNDS, BOUNDS, st.one_of(st.integers(-150, 150), st.integers(-(10**7), 10**7)))
def test_integers_within_bounds(low: int | None, high: int | None, value: int) -> None:
    """Exactly the integers within the bounds can be written; None means that there are none."""
    expression = integer(low, high)
    inside = (low is None or low <= value) and (high is None or value <= high)
    assert (expression is not None and reader(expression).accepts(str(value))) == inside


Bound = Decimal | None


@given(DECIMALS, DECIMALS, st.booleans(), st.booleans(), st.decimals(-220, 220, places=4), st.integers(0, 4))
@example(None, Decimal("0.00"), False, True, Decimal("-0.0230"), 0)  # a zero behind the last digit
def test_numbers_within_bounds(low: Bound, high: Bound, above: bool, below: bool, drawn: Decimal, places: int) -> None:
    """Exactly the numbers within the bounds can be written, with any places; the ends too unless excluded.

    Zero has one spelling: that it need not be written with a minus is no loss.
    """
    expression = number(low, high, above=above, below=below)
    for value in (drawn, round(drawn, places), low, high):
        if value is None:
            continue
        inside = low is None or low < value or (low == value and not above)
        inside = inside and (high is None or value < high or (high == value and not below))
        plain = value + 0  # of a negative zero this makes a plain one
        for text in {f"{plain:.4f}", f"{plain.normalize():f}"}:
            assert (expression is not None and reader(expression).accepts(text)) == inside, (expression, text)


@given(st.integers(0, 2**32), DECIMALS, DECIMALS, st.booleans(), st.booleans())
def test_what_can_be_written_is_within(
    seed: int, low: Decimal | None, high: Decimal | None, above: bool, below: bool
) -> None:
    """Any numeral drawn from the expression is one of JSON's and within the bounds."""
    expression = number(low, high, above=above, below=below)
    if expression is None:
        assert low is not None
        assert high is not None
        assert low >= high
        return
    text = reader(expression).example(seed)
    assert reader(NUMBER).accepts(text)
    value = Decimal(text)
    assert low is None or value > low or (value == low and not above)
    assert high is None or value < high or (value == high and not below)


def test_unbounded() -> None:
    """Numbers without bounds are JSON's: no leading zeros, no bare point."""
    assert all(reader(INTEGER).accepts(text) for text in ("0", "-7", "120"))
    assert not any(reader(INTEGER).accepts(text) for text in ("007", "1.0", "-", ""))
    assert all(reader(NUMBER).accepts(text) for text in ("0", "-7.25", "1e9", "1.5E-3"))
    assert not any(reader(NUMBER).accepts(text) for text in ("1.", ".5", "1e", "01"))
