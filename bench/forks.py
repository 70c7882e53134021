"""Counts the answers that come out otherwise in company, after kept prompts or resumed; see ``--help``."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from msgspec.structs import replace as changed
from swarmgate.api import ChatPrompt, GenerateRequest, Message, Resume, Sampling, SplitPlan
from swarmgate_backend_llamacpp.backend import LlamaBackend, open_backend
from swarmgate_backend_llamacpp.options import LlamaOptions

TOPICS = (
    "the sea", "a lighthouse", "bread", "an old clock", "the first snow", "a lost letter", "rain in a city", "bees",
    "a night train", "the colour green", "a stone bridge", "learning to swim", "a broken radio", "mountains", "tea",
    "a garden wall", "the moon", "a market at dawn", "maps", "a quiet library", "foxes", "ice", "a kite", "salt",
)  # fmt: skip
PREAMBLE = "You answer in whole sentences, you stay with the matter, and you never say that you are a machine. " * 8


@dataclass(frozen=True)
class Written:
    """An answer: its tokens in order."""

    ids: tuple[int, ...]


def requests(sampling: Sampling, tokens: int) -> list[GenerateRequest]:
    """Return a request per topic, all behind one preamble."""
    return [
        GenerateRequest(
            id=topic,
            model="m",
            prompt=ChatPrompt(
                messages=(
                    Message(role="system", content=PREAMBLE),
                    Message(role="user", content=f"Write a few sentences about {topic}."),
                )
            ),
            sampling=sampling if not sampling.temperature else changed(sampling, seed=number),
            max_tokens=tokens,
            ignore_eos=True,
        )
        for number, topic in enumerate(TOPICS)
    ]


async def write(backend: LlamaBackend, request: GenerateRequest) -> Written:
    """Let *backend* write one answer."""
    ids: list[int] = []
    async with backend.generate(request) as deltas:
        async for delta in deltas:
            ids += delta.token_ids
    return Written(tuple(ids))


async def one_by_one(backend: LlamaBackend, asked: Sequence[GenerateRequest]) -> list[Written]:
    """Let *backend* write the answers one after the other."""
    return [await write(backend, request) for request in asked]


async def together(backend: LlamaBackend, asked: Sequence[GenerateRequest]) -> list[Written]:
    """Let *backend* write all answers at once, over its slots."""
    return await asyncio.gather(*(write(backend, request) for request in asked))


def cut(asked: Sequence[GenerateRequest], whole: Sequence[Written]) -> tuple[list[GenerateRequest], list[int]]:
    """Return the requests to go on with, each from a random token, and where they were cut."""
    chance = random.Random(1)  # noqa: S311  # which token does not matter, that it is the same each time does
    cuts = [chance.randrange(1, len(answer.ids)) for answer in whole]
    return [
        changed(request, resume=Resume(token_ids=answer.ids[:at], seed=request.sampling.seed or 0))
        for request, answer, at in zip(asked, whole, cuts, strict=True)
    ], cuts


async def count(options: LlamaOptions, sampling: Sampling, tokens: int) -> dict[str, int]:
    """Return how many answers fork in each situation, against each answer written alone from a cold cache."""
    asked = requests(sampling, tokens)
    async with loaded(changed(options, kept_prompts=0)) as backend:
        alone = await one_by_one(backend, asked)
    resumed, cuts = cut(asked, alone)
    forks: dict[str, int] = {}
    async with loaded(options) as backend:
        forks["kept prompts"] = _forks(alone, await one_by_one(backend, asked))
    async with loaded(options) as backend:
        forks["four at once"] = _forks(alone, await together(backend, asked))
        forks["resumed, warm"] = _forks(_tails(alone, cuts), await together(backend, resumed))
    async with loaded(options) as backend:
        forks["resumed, another engine"] = _forks(_tails(alone, cuts), await together(backend, resumed))
    return forks


@asynccontextmanager
async def loaded(options: LlamaOptions) -> AsyncGenerator[LlamaBackend]:
    """Hold a loaded backend."""
    async with open_backend(options) as backend:
        await backend.load(SplitPlan())
        yield backend


def _tails(whole: Sequence[Written], cuts: Sequence[int]) -> list[Written]:
    return [replace(answer, ids=answer.ids[at:]) for answer, at in zip(whole, cuts, strict=True)]


def _forks(expected: Sequence[Written], found: Sequence[Written]) -> int:
    return sum(one.ids != other.ids for one, other in zip(expected, found, strict=True))


async def main() -> None:
    """Measure and print a table, and JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="a GGUF file; the bundle's small one if not given")
    parser.add_argument("--tokens", type=int, default=96, help="length of each answer (default %(default)s)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--type-v", choices=("f16", "q8_0", "bf16"), default="f16", help="type of the cache's values")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    samplings = {"greedy": Sampling(temperature=0), "sampled, temperature 1": Sampling(temperature=1.0)}
    table: dict[str, dict[str, int]] = {}
    for exact in (True, False):
        for name, sampling in samplings.items():
            options = LlamaOptions(
                model=given.model, name="m", threads=given.threads, exact=exact, context_size=2048, type_v=given.type_v
            )
            row = f"exact = {str(exact).lower()}, {name}"
            table[row] = await count(options, sampling, given.tokens)
            print(row, table[row], flush=True)
    situations = list(next(iter(table.values())))
    print(f"\nForked answers of {len(TOPICS)}, {given.tokens} tokens each, {given.threads} thread(s):\n")
    print("| | " + " | ".join(situations) + " |")
    print("|---" * (len(situations) + 1) + "|")
    for row, forks in table.items():
        print(f"| {row} | " + " | ".join(str(forks[name]) for name in situations) + " |")
    if given.json:
        given.json.write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    asyncio.run(main())
