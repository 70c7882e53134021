from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from swarmgate.builtin import swarmgate_ledger
from swarmgate.chat import ModelCard
from swarmgate.config.blueprint import Blueprint, Choice
from swarmgate.config.settings import Settings
from swarmgate.contracts import Ledger
from swarmgate.errors import ConfigError, Unavailable
from swarmgate.nouns import Endpoint, Health, Offer, Worker
from swarmgate.parts import BACKEND, DISCOVERY, LEDGER, PROBE, SPLITTER, TRANSPORT, NoOptions, Part, PartContext, Slot
from swarmgate.planning import Hypothesis, foresee, onlooker
from swarmgate.split import Portion, Share, SplitPlan
from swarmgate.swarm.token import Token
from swarmgate.testing import FakeProbe, FakeTransport, ScriptedBackend, a_card, a_context, a_worker, an_offer

pytestmark = pytest.mark.anyio
W1, W2 = Endpoint("10.0.0.1", 1), Endpoint("10.0.0.2", 2)
MANY = {"memory_bytes": "50"}


class Halves:
    """Keeps what fits here, gives all else to the first worker, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[ModelCard, int, list[Worker]]] = []

    def plan(self, model: ModelCard, here: int, workers: Any) -> SplitPlan:
        self.asked.append((model, here, list(workers)))
        if model.weight_bytes <= here:
            return SplitPlan(portions=(Portion(end=1, output=True, weights=model.weight_bytes),))
        if not workers:
            raise Unavailable(f"{model.name} fits nowhere")
        return SplitPlan(shares=(Share(worker=workers[0], fraction=1.0),))


class Told:
    """A discovery that posts its offers after a while each, or never."""

    def __init__(self, *offers: Offer, pause: float = 0.0) -> None:
        self.offers, self.pause = offers, pause

    async def run(self, ledger: Ledger) -> None:
        for offer in self.offers:
            await anyio.sleep(self.pause)
            await ledger.post(offer)
        await anyio.sleep_forever()


def choice(slot: Slot[Any], thing: Any) -> Choice:
    @asynccontextmanager
    async def opened(options: Any, context: PartContext) -> AsyncGenerator[Any]:
        yield thing

    return Choice(slot, Part(slot.name, "For a test.", NoOptions, opened), NoOptions())


def house(*parts: tuple[Slot[Any], Any], **settings: Any) -> Blueprint:
    ledger = Choice(LEDGER, swarmgate_ledger()[0], NoOptions())
    choices = [choice(slot, thing) for slot, thing in parts]
    return Blueprint(Settings(settle_seconds=0.1, **settings), (ledger, *choices))


def offers(*names: str) -> tuple[Offer, ...]:
    return tuple(an_offer(name, addresses=(f"fake://{name}",)) for name in names)


def swarm(probe: FakeProbe, *names: str, pause: float = 0.0) -> list[tuple[Slot[Any], Any]]:
    known = {"fake://w1": W1, "fake://w2": W2}
    return [(TRANSPORT, FakeTransport(known)), (DISCOVERY, Told(*offers(*names), pause=pause)), (PROBE, probe)]


def backend(name: str = "m", weight: int = 100, **fields: Any) -> tuple[Slot[Any], Any]:
    return BACKEND, ScriptedBackend(card=a_card(name, weight_bytes=weight, **fields))


async def test_the_decision_is_shown_and_nothing_loaded(tmp_path: Path) -> None:
    """The splitter is asked with what the probe found here and there; no backend hears of it."""
    probe = FakeProbe(here=70)
    probe.say(W1, {**MANY, "devices": "CPU"})
    splitter, model = Halves(), backend()
    outlook = await foresee(house((SPLITTER, splitter), model, *swarm(probe, "w1")), a_context(tmp_path))
    assert outlook.here == 70
    assert [(member.standing, member.endpoint) for member in outlook.members] == [("usable", W1)]
    (forecast,) = outlook.forecasts
    assert forecast.plan is not None
    assert forecast.plan.workers[0].offer.labels == {**MANY, "devices": "CPU"}
    assert model[1].plans == []
    assert probe.watched == []


async def test_who_cannot_be_used_is_left_out_with_the_reason(tmp_path: Path) -> None:
    """Unreachable, silent to the probe, lent to somebody, or here in vain: each says so, and is not planned with."""
    probe = FakeProbe()
    probe.say(W1, {**MANY, "leased_by": "hall"})
    probe.say(W2, Unavailable("its server is being restarted"))
    splitter = Halves()
    found = await foresee(
        house((SPLITTER, splitter), backend(weight=1), *swarm(probe, "w1", "w2", "w3")), a_context(tmp_path)
    )
    reasons = {member.offer.name: member.reason for member in found.members}
    assert {member.standing for member in found.members} == {"left_out"}
    assert (reasons["w1"], reasons["w2"]) == ("is lent to 'hall'", "its server is being restarted")
    assert "nobody is known at fake://w3" in reasons["w3"]
    assert all(not workers for _, _, workers in splitter.asked)


async def test_the_silent_are_not_waited_for_for_ever(tmp_path: Path) -> None:
    """After the patience is over, who has not answered is left out for that."""

    class Silent(FakeProbe):
        @asynccontextmanager
        async def watch(self, endpoint: Endpoint) -> AsyncGenerator[Any]:
            await anyio.sleep_forever()
            yield

    parts = house((SPLITTER, Halves()), backend(weight=1), *swarm(Silent(), "w1"))
    with anyio.fail_after(5):
        outlook = await foresee(parts, a_context(tmp_path), patience=0.5)
    assert [(each.standing, each.reason) for each in outlook.members] == [("left_out", "did not answer within 0.5 s")]


async def test_those_who_come_one_after_the_other_are_all_heard(tmp_path: Path) -> None:
    """It is looked until nobody new has come for a while."""
    probe = FakeProbe()
    probe.say(W1, MANY)
    probe.say(W2, MANY)
    parts = house((SPLITTER, Halves()), backend(), *swarm(probe, "w1", "w2", pause=0.15))
    outlook = await foresee(parts, a_context(tmp_path))
    assert [member.offer.name for member in outlook.members] == ["w1", "w2"]


async def test_supposing_asks_nobody(tmp_path: Path) -> None:
    """With a hypothesis only its figures count, and no transport, discovery or probe is even opened."""
    broken = choice(TRANSPORT, None)
    parts = house((SPLITTER, splitter := Halves()), backend())
    parts = Blueprint(parts.settings, (*parts.choices, broken))
    worker = a_worker("w9", memory_bytes=7)
    outlook = await foresee(parts, a_context(tmp_path), given=Hypothesis(here=5, workers=(worker,)))
    assert outlook.here == 5
    assert splitter.asked[-1][1:] == (5, [worker])
    assert (await foresee(parts, a_context(tmp_path), given=Hypothesis(workers=(worker,)))).here > 0


async def test_the_gateway_s_placement_fills_in_the_model_s(tmp_path: Path) -> None:
    """A model that says itself where it wants to be is taken at its word."""
    splitter = Halves()
    parts = house((SPLITTER, splitter), backend("a"), backend("b", placement="split"), placement="local")
    outlook = await foresee(parts, a_context(tmp_path), given=Hypothesis(here=500))
    assert {card.name: card.placement for card, _, _ in splitter.asked} == {"a": "local", "b": "split"}
    assert [forecast.backend for forecast in outlook.forecasts] == ["backend", "backend-2"]


async def test_models_share_what_there_is(tmp_path: Path) -> None:
    """What one takes, here or of the workers, the next does not get; a refusal takes nothing."""
    splitter = Halves()
    parts = house((SPLITTER, splitter), *(backend(name, 60) for name in "abc"))
    given = Hypothesis(here=100, workers=(a_worker("w1"),))
    outlook = await foresee(parts, a_context(tmp_path), given=given)
    plans = [forecast.plan for forecast in outlook.forecasts]
    assert [None if plan is None else len(plan.workers) for plan in plans] == [0, 1, None]
    assert outlook.forecasts[2].refusal == "c fits nowhere"


async def test_a_model_that_cannot_be_served_is_refused_with_its_reason(tmp_path: Path) -> None:
    """A file that is no model takes nothing from the others."""
    failed = ScriptedBackend(state=Health(ready=False, reason="not a GGUF file", permanent=True))
    splitter = Halves()
    outlook = await foresee(house((SPLITTER, splitter), (BACKEND, failed)), a_context(tmp_path), given=Hypothesis())
    assert (outlook.forecasts[0].refusal, splitter.asked) == ("not a GGUF file", [])


async def test_without_a_splitter_or_a_probe_there_is_a_plan_all_the_same(tmp_path: Path) -> None:
    """A model that nobody divides stays here, and workers say only what their offers do."""
    transport, discovery, _ = swarm(FakeProbe(), "w1")
    outlook = await foresee(house(backend(), transport, discovery), a_context(tmp_path))
    assert outlook.forecasts[0].plan is not None
    assert (outlook.here > 0, outlook.members[0].standing) == (True, "usable")
    assert (await foresee(house(backend()), a_context(tmp_path))).members == ()


def test_looking_leaves_no_trace(tmp_path: Path) -> None:
    """Where no gateway ever ran no state folder is made; where one did, its identity is used."""
    state = tmp_path / "state"
    with onlooker(Settings(state_dir=str(state), name="home")) as context:
        assert context.state_dir.is_dir()
        assert context.node.name == "home"
    assert not state.exists()
    assert not context.state_dir.exists()
    state.mkdir()
    ids: set[str] = set()
    for _ in range(2):
        with onlooker(Settings(state_dir=str(state))) as context:
            assert context.state_dir == state
            ids.add(context.node.id)
    assert len(ids) == 1
    (state / "node.json").write_text("{")
    with (
        pytest.raises(ConfigError, match=r"node\.json is not a node's identity"),
        onlooker(Settings(state_dir=str(state))),
    ):
        pass


def test_looking_at_a_swarm_takes_its_token_and_makes_none(tmp_path: Path) -> None:
    """A token that is given lets in whoever only looks, too; without one there is no swarm to look at."""
    state, token = tmp_path / "state", Token.make()
    with onlooker(Settings(state_dir=str(state), p2p=True, token=token.text)) as context:
        assert context.membership is not None
        assert context.membership.id == context.node.id
    assert not state.exists()
    state.mkdir()
    for settings in (Settings(state_dir=str(state), p2p=True), Settings(state_dir=str(tmp_path / "none"), p2p=True)):
        with pytest.raises(ConfigError, match="no token of a swarm yet"), onlooker(settings):
            pass
    assert not (state / "swarm.token").exists()
