"""Time to the first token of a new chat whose long system prompt another, still running chat shares."""

from __future__ import annotations

import msgspec

from sidebyside.client import chat_body, talk
from sidebyside.contenders import Contender
from sidebyside.figures import Row, both
from sidebyside.prompts import question, words


class FirstTokens(msgspec.Struct, frozen=True):
    """Seconds to the first token: with a cold cache and nobody else, of a newcomer, and of the next one after it."""

    cold: float
    newcomer: float
    next_one: float
    prompt_tokens: int


async def measure(contender: Contender, system_tokens: int, seed: str) -> FirstTokens:
    """Start three long chats, one of them on the system prompt, then two short newcomers on it, one by one."""
    system = words(system_tokens, f"{seed}/system")
    holder = await talk(contender.port, chat_body(question(f"{seed}/0"), system=system, max_tokens=900))
    await holder.pieces(3)
    others = [await talk(contender.port, chat_body(question(f"{seed}/{number}"), max_tokens=900)) for number in (1, 2)]
    for other in others:
        await other.pieces(3)
    waits: list[float] = []
    prompt_tokens = 0
    for number in (3, 4):
        newcomer = await talk(contender.port, chat_body(question(f"{seed}/{number}"), system=system, max_tokens=4))
        await newcomer.end()
        waits.append(newcomer.wait)
        prompt_tokens = newcomer.reader.usage.prompt_tokens if newcomer.reader.usage else 0
    for busy in (holder, *others):
        if busy.ended:
            raise RuntimeError(f"{contender.name}: a chat that should keep its slot busy ended: {busy.reader.failure}")
        busy.hang_up()
    await contender.settle()
    return FirstTokens(holder.wait, waits[0], waits[1], prompt_tokens)


def rows(ours: list[FirstTokens], theirs: list[FirstTokens]) -> list[Row]:
    """Return the rows of the waits for a first token."""
    note = f"prompt of {ours[0].prompt_tokens} tokens; theirs {theirs[0].prompt_tokens}"
    newcomer = "new chat on a system prompt that a running chat shares, two more running"
    return [
        Row("first token", newcomer, "s", *both("newcomer", ours, theirs), aim=0.5, note=note),
        Row("first token", "the next new chat on it", "s", *both("next_one", ours, theirs), note=note),
        Row("first token", "the first chat of all: nothing cached, nobody else", "s", *both("cold", ours, theirs)),
    ]
