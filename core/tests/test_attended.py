from __future__ import annotations

import anyio
import pytest
from swarmgate.attended import Attended
from swarmgate.chat import TokenizeRequest
from swarmgate.contracts import Backend
from swarmgate.errors import Unsupported
from swarmgate.loading import Load
from swarmgate.nouns import Health
from swarmgate.split import SplitPlan
from swarmgate.testing import ScriptedBackend, a_request, an_embed_request

pytestmark = pytest.mark.anyio


async def test_it_answers_as_the_backend_does() -> None:
    """Everything but the health is the backend's own."""
    backend = ScriptedBackend(("hi",))
    attended = Attended(Load("a", backend))
    assert isinstance(attended, Backend)
    assert attended.models() == backend.models()
    with anyio.fail_after(5):
        async with attended.generate(a_request()) as deltas:
            assert "".join([delta.text async for delta in deltas]) == "hi"
        await attended.load(SplitPlan(reason="here"))
        assert backend.plans == [SplitPlan(reason="here")]
        assert len(await attended.tokenize(TokenizeRequest(model="m", text="abc"))) == 3
        assert await attended.detokenize("m", [97]) == b"a"
        with pytest.raises(Unsupported):
            await attended.embed(an_embed_request("x"))


async def test_its_health_says_what_the_backend_cannot_know() -> None:
    """Why there is no plan for it; once it is ready it is simply ready."""
    backend = ScriptedBackend(state=Health(ready=False, reason="not loaded yet"))
    load = Load("a", backend)
    attended = Attended(load)
    load.waiting = "needs 2 GB, has 1 GB"
    assert attended.health() == Health(ready=False, reason="needs 2 GB, has 1 GB")
    backend.state = Health(ready=True)
    assert attended.health().ready
