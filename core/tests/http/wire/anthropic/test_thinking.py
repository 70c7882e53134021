from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.http.wire.anthropic.thinking import recalled, signature


@given(st.text())
def test_thoughts_that_were_not_shown_come_back(thoughts: str) -> None:
    """The signature of an empty block has them."""
    assert recalled("", signature(thoughts, shown=False)) == thoughts


def test_thoughts_that_were_shown_come_back_by_themselves() -> None:
    """Their signature is the same for the same thoughts, and does not repeat them."""
    assert signature("hm", shown=True) == signature("hm", shown=True) != signature("hmm", shown=True)
    assert recalled("hm", signature("hm", shown=True)) == "hm"
    assert recalled("", signature("hm", shown=True)) == ""


@pytest.mark.parametrize("strange", ["", "EqQBCgIYAhIM", "swarmgate.text.%", "swarmgate.text.gA==", "swarmgate.text.ä"])
def test_other_signatures_say_nothing(strange: str) -> None:
    """Those of other servers, and garbage."""
    assert recalled("", strange) == ""
