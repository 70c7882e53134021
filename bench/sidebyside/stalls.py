"""How long running streams stand still while a long prompt arrives."""

from __future__ import annotations

import msgspec

from sidebyside.client import chat_body, talk
from sidebyside.contenders import Contender
from sidebyside.figures import Row, both, gaps, percentile
from sidebyside.prompts import question, words

RUNNING = 3


class Stalls(msgspec.Struct, frozen=True):
    """Waits between pieces in seconds, while the prompt was read, and what the newcomer waited for it."""

    p99: float
    longest: float
    usual: float
    newcomer: float
    pieces_meanwhile: int
    prompt_tokens: int


async def measure(contender: Contender, prompt_tokens: int, seed: str) -> Stalls:
    """Let three streams run, send a prompt of *prompt_tokens*, watch the streams until its first token."""
    running = [
        await talk(contender.port, chat_body(question(f"{seed}/{number}"), max_tokens=1500))
        for number in range(RUNNING)
    ]
    for stream in running:
        await stream.pieces(12)
    settled = max(stream.moments[0] for stream in running)
    newcomer = await talk(contender.port, chat_body(words(prompt_tokens, f"{seed}/long"), max_tokens=4))
    await newcomer.end()
    begin, end = newcomer.began, newcomer.moments[0]
    for stream in running:
        await stream.pieces(sum(moment <= end for moment in stream.moments) + 1)  # the wait that is under way counts
    meanwhile = [wait for stream in running for wait in gaps(stream.moments, begin, end)]
    before = [wait for stream in running for wait in gaps(stream.moments, settled, begin)]
    written = sum(begin < moment <= end for stream in running for moment in stream.moments)
    for stream in running:
        stream.hang_up()
    await contender.settle()
    counted = newcomer.reader.usage.prompt_tokens if newcomer.reader.usage else 0
    usual = percentile(before, 50)
    return Stalls(percentile(meanwhile, 99), max(meanwhile), usual, newcomer.wait, written, counted)


def rows(ours: list[Stalls], theirs: list[Stalls]) -> list[Row]:
    """Return the rows of the waits inside running streams."""
    note = f"a prompt of {ours[0].prompt_tokens} tokens arrives; theirs {theirs[0].prompt_tokens}"
    meanwhile = both("pieces_meanwhile", ours, theirs)
    return [
        Row("stalls", "p99 of the gaps in three running streams", "s", *both("p99", ours, theirs), aim=0.5, note=note),
        Row("stalls", "longest gap", "s", *both("longest", ours, theirs), note=note),
        Row("stalls", "what the three streams got meanwhile", "pieces", *meanwhile, better="higher", note=note),
        Row("stalls", "first token of the long prompt itself", "s", *both("newcomer", ours, theirs), note=note),
        Row("stalls", "median gap before it came", "s", *both("usual", ours, theirs)),
    ]
