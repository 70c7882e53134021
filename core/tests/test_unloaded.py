from __future__ import annotations

import pytest
from swarmgate.chat import TokenizeRequest
from swarmgate.contracts import Backend
from swarmgate.errors import NotLoaded
from swarmgate.split import SplitPlan
from swarmgate.testing import a_card, a_request, an_embed_request
from swarmgate.unloaded import Unloaded

pytestmark = pytest.mark.anyio


async def test_it_is_a_backend_that_refuses() -> None:
    """Whatever it is asked the reason is told; its models stay known."""
    backend = Unloaded((a_card("m"),), "is unloaded")
    assert isinstance(backend, Backend)
    assert backend.models() == (a_card("m"),)
    assert (backend.health().permanent, backend.health().unloaded, backend.health().reason) == (
        True,
        True,
        "is unloaded",
    )
    with pytest.raises(NotLoaded, match="is unloaded"):
        async with backend.generate(a_request()):
            pass
    for asked in (
        backend.embed(an_embed_request("x")),
        backend.tokenize(TokenizeRequest(model="m", text="x")),
        backend.detokenize("m", (1,)),
        backend.load(SplitPlan()),
    ):
        with pytest.raises(NotLoaded, match="is unloaded"):
            await asked
