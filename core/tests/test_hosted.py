from __future__ import annotations

from swarmgate.builtin import swarmgate_backend
from swarmgate.config.choices import Choice
from swarmgate.echo import EchoBackend, EchoOptions
from swarmgate.hosted import Hosted
from swarmgate.loading import Load
from swarmgate.parts import BACKEND
from swarmgate.testing import a_card

(ECHO,) = swarmgate_backend()


def test_its_state_is_its_loads_while_it_is_open() -> None:
    """Before and after it is unloaded, or failed; the wish to unload it comes before all."""
    hosted = Hosted(Choice(BACKEND, ECHO, EchoOptions()), cards=(a_card("m", aliases=("n",)),))
    assert hosted.state == "unloaded"
    hosted.failed, hosted.reason = True, "why"
    assert hosted.state == "failed"
    hosted.again()
    assert (hosted.failed, hosted.reason) == (False, "")
    hosted.backend = EchoBackend()
    assert hosted.state == "loaded"  # it loads nothing
    hosted.load = Load("b", EchoBackend(EchoOptions(load_seconds=1)))
    assert hosted.state == "loading"
    hosted.load.waiting = "too large"
    assert hosted.state == "waiting"
    hosted.leaving = True
    assert hosted.state == "unloading"
    assert [hosted.serves(name) for name in ("m", "n", "o")] == [True, True, False]
