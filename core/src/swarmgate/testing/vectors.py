"""What a backend promises about embeddings, and about judging texts."""

from __future__ import annotations

import math
import struct
from contextlib import AbstractAsyncContextManager

import pytest

from swarmgate.api import Backend, ModelCard, Unsupported
from swarmgate.testing.makers import an_embed_request


class VectorChecks:
    """The part of :class:`~swarmgate.testing.BackendContract` that looks at embeddings."""

    def ready(self) -> AbstractAsyncContextManager[tuple[Backend, ModelCard]]:
        """Hold a backend that can answer, and its first card."""
        raise NotImplementedError

    @pytest.mark.anyio
    async def test_embeds_every_input(self) -> None:
        """There is one vector per input, of unit length, as long as the card says, and it repeats."""
        async with self.ready() as (backend, card):
            if "embedding" not in card.abilities:
                pytest.skip("the model does not embed")
            texts = ("the first text", "quite another one", "the first text")
            embeddings = await backend.embed(an_embed_request(*texts, model=card.name))
            vectors = [unpack(vector) for vector in embeddings.vectors]
            assert len(vectors) == len(texts)
            assert {len(vector) for vector in vectors} == {card.embedding_length or len(vectors[0])}
            for vector in vectors:
                assert math.hypot(*vector) == pytest.approx(1.0, abs=1e-3)
            assert vectors[0] == pytest.approx(vectors[2], abs=1e-4)
            assert vectors[0] != pytest.approx(vectors[1], abs=1e-4)
            assert embeddings.usage.prompt_tokens > 0

    @pytest.mark.anyio
    async def test_judges_every_text(self) -> None:
        """There is one number per text, and it repeats, whatever it is judged with."""
        async with self.ready() as (backend, card):
            if "rerank" not in card.abilities:
                pytest.skip("the model does not judge texts")
            texts = ("the first text", "quite another one", "the first text")
            judged = await backend.embed(an_embed_request(*texts, model=card.name, query="the first"))
            numbers = [unpack(vector) for vector in judged.vectors]
            assert [len(number) for number in numbers] == [1, 1, 1]
            assert all(math.isfinite(number[0]) for number in numbers)
            assert numbers[0] == pytest.approx(numbers[2], abs=1e-4)
            assert judged.usage.prompt_tokens > 0

    @pytest.mark.anyio
    async def test_refuses_to_embed_where_the_model_cannot(self) -> None:
        """A model without the ability says Unsupported, not nonsense."""
        async with self.ready() as (backend, card):
            if "embedding" in card.abilities:
                pytest.skip("the model embeds")
            with pytest.raises(Unsupported):
                await backend.embed(an_embed_request("x", model=card.name))


def unpack(vector: bytes) -> tuple[float, ...]:
    """Return the numbers of a vector of little-endian float32."""
    assert len(vector) % 4 == 0
    return struct.unpack(f"<{len(vector) // 4}f", vector)
