from __future__ import annotations

from dataclasses import replace

import pytest
from swarmgate.http.wire.dialect import OPENAI


@pytest.mark.parametrize(
    ("path", "spoken"),
    [("/v1/a", True), ("/v1/a/b", True), ("/v1/ab", False), ("/v1", False), ("/b", True), ("", False)],
)
def test_a_dialect_is_spoken_at_its_paths_and_below(path: str, spoken: bool) -> None:
    """Not at paths that only begin with the same letters."""
    assert replace(OPENAI, paths=("/v1/a", "/b")).spoken_at(path) is spoken
