"""What a backend promises about tokens: they cover the answer, and an answer goes on from them."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from swarmgate.api import (
    Backend,
    ChatPrompt,
    GenerateRequest,
    Message,
    ModelCard,
    Resume,
    Sampling,
    TextPrompt,
    TokenizeRequest,
)
from swarmgate.testing.answers import Written, join, write

_TEXT = "Hello wörld, 1 + 1 = 2 🙂"
_A_CHAT = (Message(role="user", content=_TEXT),)


class ResumingChecks:
    """The part of :class:`~swarmgate.testing.BackendContract` that looks at tokens."""

    #: Whether answers carry token ids and go on exactly from them.
    resumes = True
    #: Whether a chat can be cut into tokens without being answered.
    counts_chats = True

    def ready(self) -> AbstractAsyncContextManager[tuple[Backend, ModelCard]]:
        """Hold a backend that can answer, and its first card."""
        raise NotImplementedError

    def request(self, card: ModelCard, text: str = _TEXT, **fields: Any) -> GenerateRequest:
        """Return a request."""
        raise NotImplementedError

    @pytest.mark.anyio
    async def test_the_same_request_gives_the_same_answer(self) -> None:
        """Greedy answers repeat, and sampled ones do with their seed."""
        self._needs_resuming()
        async with self.ready() as (backend, card):
            for sampling in (Sampling(temperature=0.0), Sampling(temperature=1.0, seed=7)):
                one, two = [await write(backend, self.request(card, sampling=sampling)) for _ in range(2)]
                assert one.text == two.text
                assert one.token_ids == two.token_ids

    @pytest.mark.anyio
    async def test_token_ids_cover_the_answer(self) -> None:
        """The bytes of all token ids begin with the answer's text, and usage counts them."""
        self._needs_resuming()
        async with self.ready() as (backend, card):
            plain: dict[str, Any] = {"prompt": TextPrompt(text=_TEXT)} if "completion" in card.abilities else {}
            answer = await write(backend, self.request(card, **plain))
            data = await backend.detokenize(card.name, answer.token_ids)
            said = (answer.reasoning + answer.text).encode()
            assert data.decode(errors="replace").encode().startswith(said) or data.startswith(said)
            # the token that ends an answer has no text, and may be counted without being told
            assert len(answer.token_ids) <= answer.usage.completion_tokens <= len(answer.token_ids) + 1

    @pytest.mark.anyio
    async def test_a_greedy_answer_goes_on_exactly(self) -> None:
        """Cut anywhere, what follows the pieces already out completes the same answer."""
        self._needs_resuming()
        async with self.ready() as (backend, card):
            await self._goes_on(backend, card, Sampling(temperature=0.0, seed=0))

    @pytest.mark.anyio
    async def test_a_sampled_answer_goes_on_exactly(self) -> None:
        """The draw for a position depends on seed and position alone, so cutting changes nothing."""
        self._needs_resuming()
        async with self.ready() as (backend, card):
            await self._goes_on(backend, card, Sampling(temperature=1.0, seed=11))

    @pytest.mark.anyio
    async def test_a_drawn_seed_is_told(self) -> None:
        """Where the request names no seed, an answer says which is in force, so that it can go on."""
        self._needs_resuming()
        async with self.ready() as (backend, card):
            await self._goes_on(backend, card, Sampling(temperature=1.0))

    @pytest.mark.anyio
    async def test_tokens_join_to_the_text(self) -> None:
        """Cutting and joining gives the text again; a space some vocabularies put first is forgiven."""
        async with self.ready() as (backend, card):
            if not card.vocabulary or not card.abilities & {"chat", "completion"}:
                pytest.skip("no vocabulary, or that of a model that only reads: such may fold case")
            tokens = await backend.tokenize(TokenizeRequest(model=card.name, text=_TEXT))
            assert all(0 <= token.id < card.vocabulary for token in tokens)
            joined = await backend.detokenize(card.name, [token.id for token in tokens])
            assert joined.removeprefix(b" ") == _TEXT.encode()
            assert b"".join(token.data for token in tokens).removeprefix(b" ") == _TEXT.encode()
            assert await backend.tokenize(TokenizeRequest(model=card.name, text="")) == ()
            assert await backend.detokenize(card.name, ()) == b""

    @pytest.mark.anyio
    async def test_a_chat_has_as_many_tokens_as_its_answer_counts(self) -> None:
        """The tokens of a chat are those that an answer to it reads, what goes before the messages included."""
        async with self.ready() as (backend, card):
            if not self.counts_chats or "chat" not in card.abilities:
                pytest.skip("the model does not chat, or counts_chats = False: nobody lays chats out for us")
            chat = ChatPrompt(messages=(Message(role="system", content="Be brief."), *_A_CHAT))
            counted = await backend.tokenize(TokenizeRequest(model=card.name, chat=chat))
            answer = await write(backend, self.request(card, prompt=chat))
            assert len(counted) == answer.usage.prompt_tokens
            shorter = await backend.tokenize(TokenizeRequest(model=card.name, chat=ChatPrompt(messages=_A_CHAT)))
            assert len(shorter) < len(counted)

    async def _goes_on(self, backend: Backend, card: ModelCard, sampling: Sampling) -> None:
        whole = await write(backend, self.request(card, sampling=sampling))
        assert whole.seed is not None, "expected the seed in force in a piece"
        assert len(whole.token_ids) > 3, "the answer is too short to be cut: override prompt()"
        cuts = {1, 2, len(whole.pieces) // 2, len(whole.pieces) - 1}
        for cut in sorted(cut for cut in cuts if 0 < cut < len(whole.pieces)):
            text, reasoning, token_ids = join(whole.pieces[:cut])
            if not token_ids:
                continue  # nothing is out yet: that is a first try, not a resumption
            resume = Resume(token_ids=token_ids, seed=whole.seed)
            rest = await write(backend, self.request(card, sampling=sampling, resume=resume))
            assert (reasoning + rest.reasoning, text + rest.text) == (whole.reasoning, whole.text), f"cut after {cut}"
            assert token_ids + rest.token_ids == whole.token_ids
            assert rest.finish == whole.finish
            assert _counted(rest, whole)

    def _needs_resuming(self) -> None:
        if not self.resumes:
            pytest.skip("resumes = False: answers carry no token ids")


def _counted(rest: Written, whole: Written) -> bool:
    """Return whether the prompt is counted as before: what was read again is no part of it."""
    return rest.usage.prompt_tokens == whole.usage.prompt_tokens
