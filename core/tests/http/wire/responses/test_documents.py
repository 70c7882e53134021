from __future__ import annotations

from swarmgate.chat import Usage
from swarmgate.http.wire.responses.documents import response_usage


def test_usage_adds_up() -> None:
    """Thoughts are part of what was written, never more than that."""
    found = response_usage(Usage(prompt_tokens=5, completion_tokens=3, cached_tokens=2), thought=7)
    assert (found.input_tokens, found.output_tokens, found.total_tokens) == (5, 3, 8)
    assert found.input_tokens_details.cached_tokens == 2
    assert found.output_tokens_details.reasoning_tokens == 3
