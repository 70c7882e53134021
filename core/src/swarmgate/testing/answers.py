"""Takes a backend's answers apart; what the checks of a backend share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import anyio

from swarmgate.api import Backend, Delta, Finish, GenerateRequest, SplitPlan, Usage

#: How long one answer, or a restart, may take, in seconds.
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Written:
    """One answer, complete."""

    pieces: tuple[Delta, ...] = field(repr=False)
    text: str
    reasoning: str
    token_ids: tuple[int, ...]
    seed: int | None
    finish: Finish
    usage: Usage


def join(pieces: Sequence[Delta]) -> tuple[str, str, tuple[int, ...]]:
    """Return the text, the reasoning and the token ids of *pieces*."""
    text = "".join(piece.text for piece in pieces)
    reasoning = "".join(piece.reasoning for piece in pieces)
    return text, reasoning, tuple(token for piece in pieces for token in piece.token_ids)


async def write(backend: Backend, request: GenerateRequest) -> Written:
    """Let *backend* answer *request* to its end, and check that it ends as promised."""
    with anyio.fail_after(PATIENCE):
        async with backend.generate(request) as deltas:
            pieces = tuple([piece async for piece in deltas])
    finishes = [number for number, piece in enumerate(pieces) if piece.finish is not None]
    assert finishes == [len(pieces) - 1], "expected exactly one finish, in the last piece"
    last = pieces[-1]
    assert last.finish is not None
    assert last.usage is not None, "expected usage in the last piece"
    text, reasoning, token_ids = join(pieces)
    seed = next((piece.seed for piece in pieces if piece.seed is not None), request.sampling.seed)
    return Written(pieces, text, reasoning, token_ids, seed, last.finish, last.usage)


async def until_ready(backend: Backend) -> None:
    """Wait until *backend* could answer."""
    with anyio.fail_after(PATIENCE):
        if not backend.health().ready:
            await backend.load(SplitPlan())
        while not backend.health().ready:  # noqa: ASYNC110 -- the contract has nothing to wait on
            await anyio.sleep(0.01)
