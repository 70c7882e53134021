from __future__ import annotations

import pytest
from swarmgate.http.tongues import OTHERS, spoken_at
from swarmgate.http.wire.dialect import OPENAI


@pytest.mark.parametrize("path", ["", "/", "/v1/chat/completions", "/v1/models/a/b", "/api/p2p/token", "/nothing"])
def test_openais_is_spoken_where_no_other_is(path: str) -> None:
    """Also where nothing is served: whoever asks there learns it in some way."""
    assert spoken_at(path) is OPENAI


def test_each_path_has_one_dialect() -> None:
    """Whichever is looked at first: no two claim the same path."""
    for dialect in OTHERS:
        for path in dialect.paths:
            assert [other.name for other in OTHERS if other.spoken_at(path)] == [dialect.name]
            assert spoken_at(path) is dialect
