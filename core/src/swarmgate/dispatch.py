"""Sends a request to a backend: gather candidates, let the balancer pick, watch the outcome.

Each answer is fetched by a task of its own.  It goes from backend to backend as they fail, while
the caller sees one iterator; only that task enters and leaves the backends' contexts, so the
caller may iterate as it likes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TypeVar

import anyio
import msgspec

from swarmgate.admission import ANYBODY, Admission, Asker, Ticket
from swarmgate.breaker import Breakers
from swarmgate.chat import (
    Ability,
    ChatPrompt,
    Delta,
    Embeddings,
    EmbedRequest,
    GenerateRequest,
    ModelCard,
    Token,
    TokenizeRequest,
    estimated_tokens,
    least_asked,
)
from swarmgate.contracts import Backend, Balancer
from swarmgate.errand import Errand, Patience, Route
from swarmgate.errors import EngineError, RequestError, Starting, SwarmgateError
from swarmgate.nouns import Candidate, Demand, Health
from swarmgate.passage import current_passage
from swarmgate.pieces import Pieces, fetched
from swarmgate.places import Place, capacity, named, serving, summary, unloaded, why_not
from swarmgate.prefixes import blocks_of
from swarmgate.racing import Race, Races, Runner
from swarmgate.roster import Answering
from swarmgate.shadow import Shadow
from swarmgate.tallies import Tallies
from swarmgate.transcript import Transcript
from swarmgate.ways import ASLEEP, passable, preferred

__all__ = ["Dispatcher", "Route"]

_DRAINED = Health(ready=False, reason="is being drained")
#: What an answer is taken to be long, in tokens, where nobody says.
_USUAL_TOKENS = 512

RequestT = TypeVar("RequestT", bound=EmbedRequest | TokenizeRequest)


class Dispatcher:
    """Finds for each request a backend that answers it, and another when that one fails.

    A request is given up after *failures* of them (whom it did not reach does not count), or if nobody is
    ready to go on with a begun answer for *resume_seconds*; one that has not begun waits as long as the queue
    may last.  *shadow* is asked about every request and decides none.  *races* are its answers that have not begun.
    """

    def __init__(
        self,
        backends: Callable[[], Mapping[str, Backend]],
        balancer: Balancer,
        admission: Admission | None = None,
        *,
        shadow: Shadow | None = None,
        failures: int = 3,
        resume_seconds: float = 30.0,
        breakers: Breakers | None = None,
        races: Races | None = None,
    ) -> None:
        self._backends = backends
        self._balancer = balancer
        self._shadow = shadow
        self._admission = admission or Admission()
        self._tallies = Tallies()
        self._breakers = breakers or Breakers()
        self.races = races or Races()
        self._drained: set[str] = set()
        self._patience = Patience(
            failures=failures,
            seconds=self._admission.queue_seconds,
            resume_seconds=resume_seconds,
            poll_seconds=self._admission.poll_seconds,
        )

    def __repr__(self) -> str:
        return f"<Dispatcher {', '.join(self._backends())}>"

    def models(self) -> tuple[ModelCard, ...]:
        """Return what is served, one card for each name; a ready backend's before another's."""
        cards: dict[str, ModelCard] = {}
        for backend in sorted(self._backends().values(), key=lambda backend: not backend.health().ready):
            for card in backend.models():
                cards.setdefault(card.name, card)
        return tuple(cards[name] for name in sorted(cards))

    def model(self, name: str) -> ModelCard:
        """Return the card of the model called *name*, or that has it for an alias.

        Raises:
            UnknownModel: there is none.

        """
        return named(self._backends(), name)[0].card

    def health(self, model: str | None = None) -> Health:
        """Return whether *model* could answer now; for None, whether every model could that is not unloaded.

        Raises:
            UnknownModel: no backend serves *model*.

        """
        backends = self._backends()
        if model is not None:
            return summary({model: named(backends, model)})
        models = {card.name: named(backends, card.name) for card in self.models()}
        return summary({name: places for name, places in models.items() if not unloaded(places)})

    def places(self, model: str) -> tuple[Place, ...]:
        """Return whoever has *model*, in whatever state.

        Raises:
            UnknownModel: nobody has.

        """
        return named(self._backends(), model)

    def waiting(self, model: str) -> int:
        """Return how many requests wait for a slot of *model*, by its card's name."""
        return self._admission.waiting(model)

    def running(self, model: str) -> int:
        """Return how many slots of *model* are taken, by its card's name."""
        return self._admission.running(model)

    def in_flight(self, backend: str) -> int:
        """Return how many requests are under way at the backend of that name."""
        return self._tallies.in_flight(backend)

    def drain(self, node: str, *, wanted: bool = True) -> tuple[str, ...]:
        """Send nothing new to *node*, a backend's name or that of the gateway behind it, or for not *wanted* do again.

        What it is answering it may finish.  Return the names of the backends that are meant, none if nobody is.
        """
        meant = tuple(
            name
            for name, backend in self._backends().items()
            if node == name or (node and any(node == card.node for card in backend.models()))
        )
        (self._drained.update if wanted else self._drained.difference_update)(meant)
        return meant

    def nodes(self) -> tuple[Answering, ...]:
        """Return every backend, and how it does as this gateway sees it."""
        now = anyio.current_time()
        backends = self._backends()
        self._breakers.forget(backends)
        self._drained.intersection_update(backends)
        found: list[Answering] = []
        for name, backend in backends.items():
            cards, breaker = backend.models(), self._breakers.of(name)
            found.append(
                Answering(
                    backend=name,
                    node=next((card.node for card in cards if card.node), ""),
                    models=tuple(card.name for card in cards),
                    health=backend.health(),
                    draining=name in self._drained,
                    breaker=breaker.state(now),
                    retry_seconds=breaker.retry_seconds(now),
                    in_flight=self._tallies.in_flight(name),
                    asleep=any(ASLEEP in card.labels for card in cards),
                    slots=max((card.slots for card in cards), default=0),
                    written=self._tallies.written(name),
                )
            )
        return tuple(found)

    async def try_out(self, name: str, *, seconds: float) -> None:
        """Have the backend called *name* write one token, so that its breaker learns how it does.

        Nothing is raised: what comes of it is in :meth:`nodes`.
        """
        backend = self._backends().get(name)
        cards = backend.models() if backend is not None else ()
        card = next((card for card in cards if "completion" in card.abilities or "chat" in card.abilities), None)
        if backend is None or card is None:
            return
        breaker = self._breakers.of(name)
        breaker.begin()
        failed: bool | None = None
        try:
            with anyio.fail_after(seconds):
                async with backend.generate(least_asked(card)) as deltas:
                    async for _ in deltas:
                        pass
            failed = False
        except Starting:
            pass
        except RequestError:
            failed = False  # it said no, and that is an answer
        except (SwarmgateError, TimeoutError):
            failed = True
        finally:
            breaker.end(anyio.current_time(), failed=failed)

    def _as_drained(self, place: Place) -> Place:
        return replace(place, health=_DRAINED) if place.name in self._drained else place

    @asynccontextmanager
    async def generate(
        self, request: GenerateRequest, *, route: Route | None = None, asker: Asker = ANYBODY
    ) -> AsyncGenerator[Pieces[Delta]]:
        """Start an answer; its first piece has come by the time this yields.

        *route* is filled in along the way; *asker* says who asks, and how long they wait for a slot.  Leaving the
        context stops the work, however far it got.

        Raises:
            RequestError: the request cannot be answered by any backend.
            QueueFull: too many wait for this model.
            Unavailable: nobody could answer in time.
            EngineError: whoever took the request failed it, and nobody else is left.

        """
        ability: Ability = "chat" if isinstance(request.prompt, ChatPrompt) else "completion"
        demand = Demand(
            model=request.model,
            session=request.session,
            prompt_tokens=estimated_tokens(request.prompt),
            max_tokens=request.max_tokens,
            blocks=blocks_of(request.prompt),
        )
        errand = self._errand(demand, ability, route)
        transcript = Transcript(request)

        async def fetch(send: Callable[[Delta], Awaitable[None]]) -> None:
            race: Race | None = None

            async def run(runner: Runner, candidate: Candidate) -> None:
                place = runner.place
                with errand.attempt(place, candidate, resumed=transcript.begun) as attempt:
                    runner.attempt = attempt
                    errand.route.resumed += transcript.begun
                    async with place.backend.generate(transcript.request_for(place)) as deltas:
                        async for said in deltas:
                            attempt.note(said)
                            delta = said if runner.leads or race is None else race.hears(runner, said)
                            if delta is None:
                                return
                            if not transcript.begun:
                                transcript.written_by(place)
                            news = transcript.take(delta)
                            attempt.finished = transcript.finished
                            if news is not None:
                                errand.progress()
                                await send(news)
                    if not transcript.finished:
                        raise EngineError(f"backend {place.name!r} ended its answer without a finish")

            while not transcript.finished:
                place, candidate = await errand.choose(transcript.accepts, begun=transcript.begun)
                if transcript.begun:
                    await run(Runner(place, leads=True), candidate)
                else:
                    race = Race(self.races, errand, run, lambda: pieces.tasks)
                    await race.decide(place, candidate)

        async with self._admitted(errand, asker, request.priority), fetched(fetch) as pieces:
            await pieces.first()
            yield pieces

    async def embed(self, request: EmbedRequest, *, route: Route | None = None, asker: Asker = ANYBODY) -> Embeddings:
        """Embed every input, or judge it by the query.  Raises like :meth:`generate`, and Unsupported."""
        tokens = sum(len(entry) if isinstance(entry, tuple) else len(entry) // 4 + 1 for entry in request.inputs)
        ability: Ability = "embedding"
        if request.query is not None:
            ability, tokens = "rerank", tokens + len(request.inputs) * (len(request.query) // 4 + 1)
        errand = self._errand(Demand(model=request.model, prompt_tokens=tokens), ability, route)
        async with self._admitted(errand, asker):
            return await errand.run(lambda place: place.backend.embed(_renamed(request, place)))

    async def tokenize(self, request: TokenizeRequest, *, route: Route | None = None) -> tuple[Token, ...]:
        """Cut text or a chat into tokens; needs no slot.  Raises like :meth:`generate`, and Unsupported."""
        ability: Ability | None = "chat" if request.chat is not None else None
        errand = self._errand(Demand(model=request.model), ability, route)
        return await errand.run(lambda place: place.backend.tokenize(_renamed(request, place)))

    async def detokenize(self, model: str, ids: Sequence[int], *, route: Route | None = None) -> bytes:
        """Return the bytes that *ids* stand for; needs no slot.  Raises like :meth:`generate`."""
        errand = self._errand(Demand(model=model), None, route)
        return await errand.run(lambda place: place.backend.detokenize(place.card.name, ids))

    def _errand(self, demand: Demand, ability: Ability | None, route: Route | None) -> Errand:
        passage = current_passage()

        def places() -> tuple[Place, ...]:
            found = serving(self._backends(), demand.model, ability)
            return passable([self._as_drained(place) for place in found], passage)

        route = route if route is not None else Route()
        route.model = places()[0].card.name
        demand = msgspec.structs.replace(demand, expected_tokens=self._tallies.expected_tokens(route.model))
        relayed = passage.relayed
        return Errand(
            demand,
            places,
            self._balancer,
            self._tallies,
            self._patience,
            route,
            relayed=relayed,
            shadow=self._shadow,
            breakers=self._breakers,
        )

    @asynccontextmanager
    async def _admitted(self, errand: Errand, asker: Asker, priority: int = 0) -> AsyncGenerator[None]:
        route, arrived = errand.route, anyio.current_time()
        tokens = errand.demand.prompt_tokens + (errand.demand.max_tokens or _USUAL_TOKENS)
        # vLLM's field: there, less is sooner
        ticket = Ticket(model=route.model, asker=asker, priority=-priority, tokens=tokens)
        route.place = partial(self._admission.place, ticket)
        admission = self._admission.admit(
            ticket,
            lambda: capacity(preferred(errand.places(), relayed=errand.relayed)),
            why=lambda: why_not(errand.demand.model, errand.places()),
        )
        entered = False
        try:
            async with admission as route.queue_seconds:
                entered = True
                waiting = self._admission.waiting(route.model)
                errand.demand = msgspec.structs.replace(errand.demand, waiting=waiting)
                yield
        finally:
            if not entered:
                route.queue_seconds = anyio.current_time() - arrived


def _renamed(request: RequestT, place: Place) -> RequestT:
    """Return *request* with the model's own name, whatever alias it was asked for by."""
    return msgspec.structs.replace(request, model=place.card.name)
