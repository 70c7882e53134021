from __future__ import annotations

import pytest
from swarmgate.errors import Unauthorized
from swarmgate.http.keys import Keyring


@pytest.mark.parametrize("authorization", ["Bearer one", "bearer two", "BEARER  two "])
def test_any_of_the_keys_lets_in(authorization: str) -> None:
    """Each key is good, and the scheme's case does not matter."""
    Keyring(("one", "two")).check(authorization)


@pytest.mark.parametrize(
    "authorization", ["", "one", "Bearer", "Bearer ", "Bearer three", "Basic one", "Bearer onex", "Bearer \u20ac"]
)
def test_anything_else_does_not(authorization: str) -> None:
    """No key, a wrong one, and other schemes are refused."""
    with pytest.raises(Unauthorized):
        Keyring(("one", "two")).check(authorization)


def test_without_keys_everybody_may_in() -> None:
    """With no keys configured any value is accepted, and none."""
    Keyring(()).check("")
    Keyring(()).check("Bearer sk-whatever")


def test_the_refusal_does_not_show_the_key() -> None:
    """What was sent is not repeated."""
    with pytest.raises(Unauthorized) as found:
        Keyring(("one",)).check("Bearer almost")
    assert "almost" not in str(found.value)
    assert repr(Keyring(("one",))) == "<Keyring of 1>"
