"""The engine, whole: a child process, llama.cpp, and tiny models."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
from llama_serving import serving
from swarmgate.api import (
    ContextExceeded,
    Delta,
    EmbedRequest,
    EngineError,
    GenerateRequest,
    RequestError,
    ResponseFormat,
    Resume,
    Sampling,
    SplitPlan,
    Starting,
    TextPrompt,
    TokenizeRequest,
    Unsupported,
)
from swarmgate.testing import a_request, an_embed_request
from swarmgate.testing.answers import until_ready, write
from swarmgate_backend_llamacpp.backend import LlamaBackend, open_backend
from swarmgate_backend_llamacpp.options import LlamaOptions
from tinygguf import (
    JUDGING_BIAS,
    Shape,
    judging_weights,
    write_cut_short,
    write_llama,
    write_unknown_architecture,
)

pytestmark = [pytest.mark.engine, pytest.mark.anyio]

STORIES = [f"Tell me about {thing}, please." for thing in ("rain", "stones", "bread", "the sea", "an old house", "fog")]
PREAMBLE = "You are a patient and exact assistant who never tires of questions. " * 12


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio alone: the contract's tests prove that the loop does not matter."""
    return "asyncio"


def text_request(text: str, **fields: Any) -> GenerateRequest:
    """Return a greedy request to go on with *text*."""
    return a_request(prompt=TextPrompt(text=text), **fields)


async def write_all(backend: LlamaBackend, requests: list[GenerateRequest]) -> list[str]:
    """Let *backend* answer all *requests* at once; return the texts."""
    texts = [""] * len(requests)

    async def answer(index: int) -> None:
        texts[index] = (await write(backend, requests[index])).text

    async with anyio.create_task_group() as tasks:
        for index in range(len(requests)):
            tasks.start_soon(answer, index)
    return texts


async def test_company_changes_nothing(tiny: Path) -> None:
    """Greedy and seeded answers are the same, letter by letter, alone and six at once over three slots."""
    async with serving(tiny, slots=3) as backend:
        for sampling in (Sampling(temperature=0), Sampling(temperature=1.2, seed=11)):
            requests = [a_request(text, max_tokens=60, sampling=sampling) for text in STORIES]
            alone = [(await write(backend, request)).text for request in requests]
            assert await write_all(backend, requests) == alone


async def test_sharing_a_prefix_changes_nothing(tiny: Path) -> None:
    """With one long preamble computed once, answers are those of an engine that shares nothing."""
    requests = [text_request(PREAMBLE + text, max_tokens=40) for text in STORIES]
    async with serving(tiny, slots=2, kept_prompts=0) as plain:
        alone = [(await write(plain, request)).text for request in requests]
    async with serving(tiny, slots=2, kept_prompts=4) as sharing:
        assert await write_all(sharing, requests) == alone
        again = await write(sharing, requests[0])
    assert again.text == alone[0]
    assert again.usage.cached_tokens == again.usage.prompt_tokens - 1


async def test_a_crowded_cache_changes_nothing(tiny: Path) -> None:
    """When the KV cache cannot hold all answers at once some wait and go on later, unchanged."""
    requests = [text_request(PREAMBLE[number * 40 :] + text, max_tokens=60) for number, text in enumerate(STORIES)]
    async with serving(tiny, slots=4) as roomy:
        alone = [(await write(roomy, request)).text for request in requests]
    async with serving(tiny, slots=4, context_size=700, kv_size=768) as crowded:
        assert await write_all(crowded, requests) == alone


async def test_seeds_decide_and_only_they(tiny: Path) -> None:
    """The same seed writes the same, another something else, and without one the drawn seed is told."""
    async with serving(tiny) as backend:

        async def answer(seed: int | None) -> tuple[str, int | None]:
            written = await write(backend, a_request(max_tokens=40, sampling=Sampling(temperature=1.5, seed=seed)))
            return written.text, written.seed

        assert await answer(5) == await answer(5)
        assert (await answer(5))[0] != (await answer(6))[0]
        text, seed = await answer(None)
        assert seed is not None
        assert await answer(seed) == (text, seed)


async def test_resumes_in_another_process(tiny: Path) -> None:
    """Another engine, cold, completes a sampled answer exactly, stop strings and half characters included."""
    request = a_request(max_tokens=80, sampling=Sampling(temperature=1.3, seed=3))
    async with serving(tiny) as first:
        whole = await write(first, request)
    async with serving(tiny) as second:
        for cut in (1, 17, 63):
            said = "".join(piece.text for piece in whole.pieces[:cut])
            resume = Resume(token_ids=whole.token_ids[:cut], seed=3)
            rest = await write(second, a_request(max_tokens=80, sampling=request.sampling, resume=resume))
            assert said + rest.text == whole.text
            assert rest.usage.completion_tokens == whole.usage.completion_tokens


async def test_hanging_up_frees_the_slot_within_a_step(tiny: Path) -> None:
    """With one slot and an endless answer in it, the next request starts as soon as the client goes."""
    async with serving(tiny, slots=1) as backend:
        async with backend.generate(a_request(max_tokens=None, ignore_eos=True)) as deltas:
            await anext(deltas)
        with anyio.fail_after(10):
            assert (await write(backend, a_request(max_tokens=3))).usage.completion_tokens == 3
        assert backend.in_flight == 0


async def test_log_probabilities_are_a_distribution(tiny: Path) -> None:
    """The chosen token is the likeliest when greedy; alternatives come in order and never add up to more than one."""
    async with serving(tiny) as backend:
        written = await write(backend, text_request("x", max_tokens=5, logprobs=4))
        entries = [entry for piece in written.pieces for entry in piece.logprobs]
        assert [entry.id for entry in entries] == list(written.token_ids)
        for entry in entries:
            chances = [math.exp(top.logprob) for top in entry.top]
            assert entry.top[0].id == entry.id
            assert chances == sorted(chances, reverse=True)
            assert 0 < sum(chances) <= 1.000001
        assert b"".join(entry.data for entry in entries).decode(errors="replace") == written.text


async def test_biases_and_penalties_are_obeyed(tiny: Path) -> None:
    """A banned token does not come, a favoured one does, and what came is avoided when penalised."""
    async with serving(tiny) as backend:
        plain = await write(backend, text_request("x", max_tokens=20))
        first = plain.token_ids[0]
        banned = await write(
            backend, text_request("x", max_tokens=20, sampling=Sampling(temperature=0, logit_bias={first: -100}))
        )
        assert first not in banned.token_ids
        loved = Sampling(temperature=0, logit_bias={65: 100})
        assert (await write(backend, text_request("x", max_tokens=4, sampling=loved))).token_ids == (65,) * 4
        shy = Sampling(temperature=0, logit_bias={65: 100}, frequency_penalty=80)
        assert len(set((await write(backend, text_request("x", max_tokens=4, sampling=shy))).token_ids)) > 1
        with pytest.raises(RequestError, match="logit_bias names token 999999"):
            await write(backend, text_request("x", sampling=Sampling(logit_bias={999999: 1})))


async def test_grammar_is_obeyed(tiny: Path) -> None:
    """A model that writes noise writes what the grammar allows, and JSON where JSON is asked for."""
    async with serving(tiny) as backend:
        digits = await write(backend, text_request("x", grammar='root ::= [0-9] [0-9] "!"', max_tokens=20))
        assert len(digits.text) == 3
        assert digits.text[:2].isdigit()
        assert digits.text.endswith("!")
        form = ResponseFormat(
            kind="json_schema", schema={"type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"]}
        )
        written = await write(backend, a_request(response_format=form, max_tokens=200))
        assert json.loads(written.text) in ({"n": 1}, {"n": 2})
        with pytest.raises(RequestError, match="GBNF"):
            await write(backend, text_request("x", grammar="root ::= ((("))


async def test_refusals_name_the_matter(tiny: Path, embedder: Path) -> None:
    """Too long, empty, or of another kind: the request's fault, told with numbers and remedies."""
    async with serving(tiny, context_size=256) as backend:
        with pytest.raises(ContextExceeded, match=r"256 tokens, and the prompt has \d+"):
            await write(backend, text_request(PREAMBLE))
        with pytest.raises(Unsupported, match="does not embed"):
            await backend.embed(an_embed_request("x"))
        with pytest.raises(Unsupported, match="fill in between"):
            await write(backend, a_request(prompt=TextPrompt(text="a", suffix="b")))
    async with serving(embedder) as backend:
        with pytest.raises(Unsupported, match="does not write"):
            await write(backend, a_request())
        with pytest.raises(ContextExceeded, match=r"512 tokens, and input\[1\] has"):
            await backend.embed(an_embed_request("x", "word " * 600))
        with pytest.raises(RequestError, match=r"input\[0\] is empty"):
            await backend.embed(an_embed_request(""))


async def test_context_ends_an_answer(tiny: Path) -> None:
    """An answer without a limit goes as far as the context, and says that it was cut."""
    async with serving(tiny, context_size=256) as backend:
        written = await write(backend, text_request("x", ignore_eos=True))
        assert written.finish == "length"
        assert written.usage.prompt_tokens + written.usage.completion_tokens == 256


async def test_embeds_many_and_few(embedder: Path) -> None:
    """A text has one vector, whoever it is embedded with, and fewer dimensions are the first ones."""
    async with serving(embedder) as backend:
        texts = [f"word{number} and some more of them" for number in range(70)]
        together = await backend.embed(an_embed_request(*texts))
        alone = await backend.embed(an_embed_request(texts[41]))
        assert len(together.vectors) == 70
        assert _close(together.vectors[41], alone.vectors[0])
        assert not _close(together.vectors[40], alone.vectors[0])
        short = await backend.embed(an_embed_request(texts[41], dimensions=8))
        assert len(short.vectors[0]) == 8 * 4


async def test_judges_texts_by_a_query(reranker: Path) -> None:
    """A text has one number, whoever it is judged with: what the head makes of the first token's vector."""
    texts = [f"word{number} and the weather in Paris" for number in range(70)]
    async with serving(reranker) as backend:
        together = await backend.embed(an_embed_request(*texts, query="weather"))
        alone = await backend.embed(an_embed_request(texts[41], query="weather"))
        other = await backend.embed(an_embed_request(texts[41], query="a number"))
        with pytest.raises(Unsupported, match="judges texts and does not embed"):
            await backend.embed(an_embed_request("x"))
        tokens = {
            text: [token.id for token in await backend.tokenize(TokenizeRequest(model="m", text=text, special=True))]
            for text in ("[CLS]", "[SEP]", "weather", texts[41])
        }
    assert len(together.vectors) == 70
    (score,) = struct.unpack("<f", alone.vectors[0])
    assert struct.unpack("<f", together.vectors[41])[0] == pytest.approx(score, abs=1e-4)
    assert struct.unpack("<f", other.vectors[0])[0] != pytest.approx(score, abs=1e-4)
    pair = [*tokens["[CLS]"], *tokens["weather"], *tokens["[SEP]"], *tokens[texts[41]]]
    assert alone.usage.prompt_tokens == len(pair)
    async with serving(reranker, pooling="cls") as backend:
        (vector,) = (await backend.embed(EmbedRequest(id="r", model="m", inputs=(tuple(pair),)))).vectors
    unit = np.frombuffer(vector, "<f4")
    length = len(unit) ** 0.5  # of every vector that comes out of a norm without weights
    assert score == pytest.approx(float(judging_weights(64) @ unit) * length + JUDGING_BIAS, abs=1e-3)


async def test_tokens_there_and_back(tiny: Path) -> None:
    """Markers are one token when they are read as such, and all tokens together are the text."""
    async with serving(tiny) as backend:
        text = "<|im_start|>héllo"
        special, plain = [
            await backend.tokenize(TokenizeRequest(model="m", text=text, special=special)) for special in (True, False)
        ]
        assert special[0].data == b"<|im_start|>"
        assert len(plain) > len(special)
        for tokens in (special, plain):
            assert await backend.detokenize("m", [token.id for token in tokens]) == text.encode()


@pytest.mark.parametrize("moment", ["prefill", "decode"])
async def test_killed_at_work(tiny: Path, moment: str) -> None:
    """Killed in a prompt or in an answer, whoever waits is told why, and a new engine answers as the old one."""
    request = text_request(PREAMBLE * 3 if moment == "prefill" else "x", max_tokens=400, ignore_eos=True)
    async with serving(tiny, context_size=2048) as backend:
        before = (await write(backend, a_request(max_tokens=20))).text
        with pytest.raises(EngineError, match="was killed by SIGKILL"):
            await _killed(backend, request, moment)
        with pytest.raises(Starting, match="restarting: the engine was killed by SIGKILL"):
            await write(backend, a_request())
        await until_ready(backend)
        assert (await write(backend, a_request(max_tokens=20))).text == before


async def test_killed_while_loading(tmp_path: Path) -> None:
    """An engine that dies before it is ready is started again, and loading ends well."""
    big = write_llama(tmp_path / "m.gguf", shape=Shape(layers=8, width=512, feed_forward=2048))
    async with open_backend(LlamaOptions(model=str(big), threads=1)) as backend, anyio.create_task_group() as tasks:
        tasks.start_soon(backend.load, SplitPlan())
        while backend.pid is None:  # noqa: ASYNC110 -- seen past the contract, nothing to wait on
            await anyio.sleep(0.005)
        first = backend.pid
        backend.kill()
        await until_ready(backend)
        assert backend.pid != first
        assert (await write(backend, a_request(max_tokens=3))).finish == "length"


async def test_what_cannot_be_loaded_is_said_once(tmp_path: Path) -> None:
    """A model llama.cpp does not know fails for good, with its reason; a broken file without starting anything."""
    async with open_backend(LlamaOptions(model=str(write_unknown_architecture(tmp_path / "m.gguf")))) as backend:
        with pytest.raises(EngineError, match="unknown model architecture: 'unheard-of'"):
            await backend.load(SplitPlan())
        assert backend.health().permanent
        with pytest.raises(EngineError, match="unheard-of"):
            await write(backend, a_request())
    async with open_backend(LlamaOptions(model=str(write_cut_short(tmp_path / "cut.gguf")))) as backend:
        assert backend.health().permanent
        assert [card.name for card in backend.models()] == ["cut"]
        with pytest.raises(EngineError, match="is cut short: it has"):
            await backend.load(SplitPlan())
        assert backend.pid is None


async def test_first_piece_has_the_seed_and_each_piece_its_tokens(tiny: Path) -> None:
    """What a gateway needs to resume is there from the first piece on."""
    async with serving(tiny) as backend:
        written = await write(
            backend, a_request(max_tokens=5, sampling=Sampling(temperature=1, seed=9), ignore_eos=True)
        )
    pieces: list[Delta] = list(written.pieces)
    assert [piece.seed for piece in pieces] == [9, None, None, None, None]
    assert [len(piece.token_ids) for piece in pieces] == [1] * 5


async def _killed(backend: LlamaBackend, request: GenerateRequest, moment: str) -> None:
    async with backend.generate(request) as deltas:
        if moment == "decode":
            await anext(deltas)
        backend.kill()
        async for _ in deltas:
            pass


def _close(one: bytes, other: bytes) -> bool:
    first, second = (struct.unpack(f"<{len(vector) // 4}f", vector) for vector in (one, other))
    return all(math.isclose(a, b, abs_tol=1e-3) for a, b in zip(first, second, strict=True))
