"""What every backend must do, as tests."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio
import pytest

from swarmgate.api import (
    Backend,
    ChatPrompt,
    ContextExceeded,
    EngineError,
    GenerateRequest,
    Health,
    Message,
    ModelCard,
    Prompt,
    RequestError,
    SplitPlan,
    TextPrompt,
    TokenizeRequest,
    TokenPrompt,
    Unavailable,
    UnknownModel,
)
from swarmgate.testing.answers import PATIENCE, until_ready, write
from swarmgate.testing.makers import a_request, an_embed_request
from swarmgate.testing.resuming import ResumingChecks
from swarmgate.testing.vectors import VectorChecks

_NUMBERS = "one two three four five six seven eight nine ten"
_COLOURS = "red orange yellow green cyan blue indigo violet pink grey"


class BackendContract(ResumingChecks, VectorChecks):
    """Runs a backend through its contract; the first card it shows is the one that is tried.

    Greedy answers must repeat exactly.  ``resumes``, ``stops``, ``names_stops``, ``counts_chats`` and ``names_models``
    switch checks off.
    """

    #: Whether stop strings are obeyed.
    stops = True
    #: Whether it says which stop string ended an answer.
    names_stops = True
    #: Whether it knows the models it serves by name; False for one that answers to any name.
    names_models = True
    #: Whether :meth:`kill` kills an engine.
    mortal = False

    def make(self) -> AbstractAsyncContextManager[Backend]:
        """Return an open backend; it is loaded here unless it is ready already."""
        raise NotImplementedError

    def prompt(self, card: ModelCard, text: str) -> Prompt:
        """Return a prompt that makes the model write a dozen tokens or more about *text*."""
        if "chat" in card.abilities:
            return ChatPrompt(messages=(Message(role="user", content=text),))
        return TextPrompt(text=text)

    async def kill(self, backend: Backend) -> None:
        """Kill the engine behind *backend*, as the kernel would."""
        raise NotImplementedError

    def running(self, backend: Backend) -> int | None:
        """Return how many answers are being written, found out past the contract, or None."""
        return None

    @asynccontextmanager
    async def ready(self) -> AsyncGenerator[tuple[Backend, ModelCard]]:
        """Hold a backend that can answer, and its first card."""
        async with self.make() as backend:
            await until_ready(backend)
            yield backend, backend.models()[0]

    def request(self, card: ModelCard, text: str = _NUMBERS, **fields: Any) -> GenerateRequest:
        """Return a greedy request of bounded length; *fields* are the request's.

        Checks that need an answer skip a model that does not write.
        """
        if not card.abilities & {"chat", "completion"}:
            pytest.skip("the model does not write")
        fields.setdefault("max_tokens", 48)
        fields.setdefault("prompt", self.prompt(card, text))
        return a_request(model=card.name, **fields)

    @pytest.mark.anyio
    async def test_meets_the_protocol(self) -> None:
        """It has every method a backend needs."""
        async with self.make() as backend:
            assert isinstance(backend, Backend)

    @pytest.mark.anyio
    async def test_says_what_it_serves_from_the_start(self) -> None:
        """Models are named before anything is loaded, each once, and stay the same by name."""
        async with self.make() as backend:
            names = [card.name for card in backend.models()]
            assert names
            assert all(names)
            assert len(set(names)) == len(names)
            await until_ready(backend)
            assert [card.name for card in backend.models()] == names
            assert backend.models() == backend.models()

    @pytest.mark.anyio
    async def test_cards_are_sensible(self) -> None:
        """A model has an ability, a slot, and sizes that are not negative."""
        async with self.ready() as (backend, _):
            for card in backend.models():
                assert card.abilities
                assert card.slots >= 1
                assert min(card.context_length, card.weight_bytes, card.layers, card.vocabulary) >= 0

    @pytest.mark.anyio
    async def test_health_is_told_at_any_time(self) -> None:
        """Before and after loading there is a health, with a reason where it is not ready."""
        async with self.make() as backend:
            first = backend.health()
            assert isinstance(first, Health)
            assert first.ready or first.reason
            await until_ready(backend)
            assert backend.health().ready

    @pytest.mark.anyio
    async def test_loads_anew(self) -> None:
        """After it was loaded again by an empty plan it answers as before."""
        async with self.ready() as (backend, card):
            before = await write(backend, self.request(card))
            with anyio.fail_after(PATIENCE):
                await backend.load(SplitPlan())
            await until_ready(backend)
            assert (await write(backend, self.request(card))).text == before.text

    @pytest.mark.anyio
    async def test_an_answer_ends_with_one_finish_and_usage(self) -> None:
        """The last piece alone has the finish; its usage counts prompt and answer."""
        async with self.ready() as (backend, card):
            answer = await write(backend, self.request(card))
            assert answer.text or answer.reasoning
            assert answer.usage.prompt_tokens > 0
            assert answer.usage.completion_tokens > 0
            assert 0 <= answer.usage.cached_tokens <= answer.usage.prompt_tokens

    @pytest.mark.anyio
    async def test_the_length_is_bounded(self) -> None:
        """No answer is longer than max_tokens, and one that is cut says so."""
        async with self.ready() as (backend, card):
            answer = await write(backend, self.request(card, max_tokens=3, ignore_eos=True))
            assert answer.usage.completion_tokens <= 3
            assert answer.finish == "length"

    @pytest.mark.anyio
    async def test_stop_strings_end_an_answer(self) -> None:
        """The text ends before the first stop string, which is not in it."""
        if not self.stops:
            pytest.skip("stops = False: stop strings are not obeyed")
        async with self.ready() as (backend, card):
            whole = (await write(backend, self.request(card))).text
            stop = next((whole[at : at + 2] for at in range(len(whole) // 3, len(whole) - 2)), "")
            assert stop, f"the answer {whole!r} is too short to try a stop string: override prompt()"
            cut = await write(backend, self.request(card, stop=(stop,)))
            assert cut.text == whole[: whole.find(stop)]
            assert cut.finish == "stop"
            if self.names_stops:
                assert cut.pieces[-1].stop == stop, "names_stops = False: nobody says which stop string was met"

    @pytest.mark.anyio
    async def test_leaving_early_frees_it(self) -> None:
        """However many answers are left after their first piece, the next one is whole and unchanged."""
        async with self.ready() as (backend, card):
            undisturbed = await write(backend, self.request(card))
            with anyio.fail_after(PATIENCE):
                for number in range(2 * card.slots + 1):
                    request = self.request(card, _COLOURS, id=f"left-{number}", max_tokens=None)
                    async with backend.generate(request) as deltas:
                        await anext(deltas)
            await self._idle(backend)
            assert (await write(backend, self.request(card))).text == undisturbed.text

    @pytest.mark.anyio
    async def test_leaving_before_the_first_piece_frees_it(self) -> None:
        """An answer nobody listened to is stopped as well."""
        async with self.ready() as (backend, card):
            with anyio.fail_after(PATIENCE):
                for number in range(2 * card.slots + 1):
                    async with backend.generate(self.request(card, id=f"unheard-{number}", max_tokens=None)):
                        pass
            await self._idle(backend)
            assert (await write(backend, self.request(card))).finish in {"stop", "length"}

    @pytest.mark.anyio
    async def test_cancelling_frees_it(self) -> None:
        """A caller that is cancelled while it waits for a piece leaves nothing behind."""
        async with self.ready() as (backend, card):
            for number in range(2 * card.slots + 1):
                with anyio.fail_after(PATIENCE):
                    async with anyio.create_task_group() as tasks:
                        request = self.request(card, id=f"cancelled-{number}", max_tokens=None)
                        async with backend.generate(request) as deltas:
                            async for _ in deltas:
                                tasks.cancel_scope.cancel()
            await self._idle(backend)
            assert (await write(backend, self.request(card))).finish in {"stop", "length"}

    @pytest.mark.anyio
    async def test_two_at_once_do_not_mix(self) -> None:
        """Answers written beside each other are what each is alone."""
        async with self.ready() as (backend, card):
            texts = (_NUMBERS, _COLOURS)
            alone = [(await write(backend, self.request(card, text))).text for text in texts]
            assert alone[0] != alone[1], "override prompt() so that different texts give different answers"
            together = ["", ""]

            async def answer(number: int) -> None:
                request = self.request(card, texts[number], id=f"both-{number}")
                together[number] = (await write(backend, request)).text

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(answer, 0)
                tasks.start_soon(answer, 1)
            assert together == alone

    @pytest.mark.anyio
    async def test_unknown_models_are_refused(self) -> None:
        """Every request for a model it does not serve ends in UnknownModel."""
        if not self.names_models:
            pytest.skip("names_models = False: it answers to any name")
        stranger = "no-such-model"
        async with self.ready() as (backend, _):
            with pytest.raises(UnknownModel, match=stranger):
                await write(backend, a_request(model=stranger))
            with pytest.raises(UnknownModel, match=stranger):
                await backend.embed(an_embed_request("x", model=stranger))
            with pytest.raises(UnknownModel, match=stranger):
                await backend.tokenize(TokenizeRequest(model=stranger, text="x"))
            with pytest.raises(UnknownModel, match=stranger):
                await backend.detokenize(stranger, (1,))

    @pytest.mark.anyio
    async def test_unknown_tokens_are_refused(self) -> None:
        """Ids beyond the vocabulary are the request's fault, and harm nobody else."""
        async with self.ready() as (backend, card):
            if not card.vocabulary:
                pytest.skip("the card has no vocabulary")
            for token in (card.vocabulary, -1, 2**31 - 1):
                with pytest.raises(RequestError):
                    await backend.detokenize(card.name, (token,))
                with pytest.raises(RequestError):
                    await write(backend, self.request(card, prompt=TokenPrompt(ids=(token,))))
            assert (await write(backend, self.request(card))).finish in {"stop", "length"}

    @pytest.mark.anyio
    async def test_too_long_a_prompt_is_refused(self) -> None:
        """A prompt beyond the context is the request's fault, and the message has the numbers."""
        async with self.ready() as (backend, card):
            if not card.context_length:
                pytest.skip("the card has no context_length")
            with pytest.raises(ContextExceeded, match=str(card.context_length)):
                await write(backend, self.request(card, "word " * card.context_length))
            assert (await write(backend, self.request(card))).finish in {"stop", "length"}

    @pytest.mark.anyio
    async def test_a_killed_engine_is_replaced(self) -> None:
        """The answer being written fails with a passing error, and later ones are as before."""
        if not self.mortal:
            pytest.skip("mortal = False: there is no engine that could die")
        async with self.ready() as (backend, card):
            before = await write(backend, self.request(card))
            with pytest.raises((EngineError, Unavailable)):
                await self._killed_while_writing(backend, card)
            await until_ready(backend)
            assert (await write(backend, self.request(card))).text == before.text

    async def _killed_while_writing(self, backend: Backend, card: ModelCard) -> None:
        with anyio.fail_after(PATIENCE):
            async with backend.generate(self.request(card, max_tokens=None, ignore_eos=True)) as deltas:
                await anext(deltas)
                await self.kill(backend)
                async for _ in deltas:
                    pass

    async def _idle(self, backend: Backend) -> None:
        """Wait until nothing is being written, where the subject lets that be seen."""
        with anyio.fail_after(PATIENCE):
            while self.running(backend):  # noqa: ASYNC110 -- seen past the contract, nothing to wait on
                await anyio.sleep(0.01)
