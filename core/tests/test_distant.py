from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import anyio
import pytest
from swarmgate.chat import EmbedRequest, GenerateRequest, TextPrompt, TokenizeRequest
from swarmgate.distant import Distant, models_in
from swarmgate.echo import EchoBackend, EchoOptions
from swarmgate.errors import Unavailable, Unreachable
from swarmgate.nouns import GATEWAY, Health, Offer
from swarmgate.split import SplitPlan
from swarmgate.testing import an_offer
from swarmgate.ways import ASLEEP

pytestmark = pytest.mark.anyio


class Use:
    """Counts who asks, and tells when somebody does."""

    def __init__(self) -> None:
        self.now = self.ever = 0
        self.asked = anyio.Event()

    @contextmanager
    def __call__(self) -> Generator[None]:
        self.now += 1
        self.ever += 1
        self.asked.set()
        try:
            yield
        finally:
            self.now -= 1


class Looking(EchoBackend):
    """Is told to look again."""

    looks = 0
    state = Health(ready=True)

    def look_again(self) -> None:
        self.looks += 1

    def health(self) -> Health:
        return self.state


def offering(*models: str) -> Offer:
    return an_offer("far", service=GATEWAY, labels={"models": ", ".join(models)} if models else {})


def question() -> GenerateRequest:
    return GenerateRequest(id="1", model="echo", prompt=TextPrompt("hello there"), max_tokens=4)


async def answer(distant: Distant) -> str:
    async with distant.generate(question()) as deltas:
        return "".join([delta.text async for delta in deltas])


async def test_asleep_it_has_what_its_offer_names() -> None:
    """A card for each model, by way of that gateway, ready as far as anybody knows; nothing if nothing is named."""
    distant = Distant(offering("a", "b"), Use())
    assert [card.name for card in distant.models()] == ["a", "b"]
    for card in distant.models():
        assert (card.node, card.paths, ASLEEP in card.labels) == ("far", (("node-far",),), True)
    assert distant.health().ready
    assert Distant(offering(), Use()).models() == ()
    assert models_in(offering("a", "b")) == ("a", "b")


async def test_who_asks_has_it_woken_and_waits() -> None:
    """It is used for as long as the answer takes, and answers by whatever is held then."""
    use = Use()
    distant = Distant(offering("echo"), use)
    texts: list[str] = []

    async def ask() -> None:
        texts.append(await answer(distant))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await use.asked.wait()
            assert (use.now, texts) == (1, [])
            with distant.answering_by(EchoBackend(EchoOptions(model="echo"))):
                while use.now:
                    await anyio.lowlevel.checkpoint()
    assert texts[0]
    assert use.ever == 1


async def test_all_that_can_be_asked_is_asked_there() -> None:
    """Vectors and tokens go the same way; loading is nobody's business here."""
    use, backend = Use(), EchoBackend(EchoOptions(model="echo"))
    distant = Distant(offering("echo"), use)
    with distant.answering_by(backend):
        assert distant.models() == backend.models()
        assert distant.health() == backend.health()
        inputs = EmbedRequest(id="1", model="echo", inputs=("a",))
        assert await distant.embed(inputs) == await backend.embed(inputs)
        cut = TokenizeRequest(model="echo", text="a b")
        tokens = await distant.tokenize(cut)
        assert tokens == await backend.tokenize(cut)
        assert await distant.detokenize("echo", [each.id for each in tokens]) == b"a b"
        await distant.load(SplitPlan())
    assert use.ever == 3


async def test_what_cannot_be_reached_makes_nobody_wait() -> None:
    """Who waits is told why, it is not ready from then on, and passes for ready again when it may be tried again."""
    use = Use()
    distant = Distant(offering("echo"), use)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:

            async def lose() -> None:
                await use.asked.wait()
                distant.lose("it is dark")

            tasks.start_soon(lose)
            with pytest.raises(Unreachable, match="far cannot be reached: it is dark"):
                await answer(distant)
    assert distant.health() == Health(ready=False, reason="it is dark")
    with pytest.raises(Unreachable, match="it is dark"):
        await answer(distant)
    distant.rest()
    assert distant.health().ready


async def test_one_that_never_opens_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for ever."""
    monkeypatch.setattr("swarmgate.distant._OPENED_SECONDS", 0.01)
    with pytest.raises(Unreachable, match=r"no path to it was opened within 0\.01 s"):
        await answer(Distant(offering("echo"), Use()))


async def test_one_that_opens_and_is_not_well_says_so() -> None:
    """What was ready when it announced itself need not be now."""
    distant, backend = Distant(offering("echo"), Use()), Looking()
    backend.state = Health(ready=False, reason="it has a headache")
    with distant.answering_by(backend), pytest.raises(Unavailable, match="far cannot answer: it has a headache"):
        await answer(distant)


async def test_what_was_seen_of_a_model_is_remembered() -> None:
    """Asleep again, its card says what it said awake: how many slots, and which weights."""
    distant = Distant(offering("echo", "other"), Use())
    seen = EchoBackend(EchoOptions(model="echo", slots=7))
    with distant.answering_by(seen):
        assert ASLEEP not in distant.models()[0].labels
    echo, other = distant.models()
    assert (echo.slots, other.slots) == (7, 1)
    assert ASLEEP in echo.labels


async def test_what_is_announced_is_followed() -> None:
    """New labels are new models, and a reason to look for who looks; a mere renewal is neither."""
    distant, backend = Distant(offering("a"), Use()), Looking()
    with distant.answering_by(backend):
        distant.announce(offering("a"))
        assert backend.looks == 0
        distant.announce(offering("a", "b"))
        assert backend.looks == 1
    assert [card.name for card in distant.models()] == ["a", "b"]
