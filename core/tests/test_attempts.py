from __future__ import annotations

import pytest
from swarmgate.attempts import Attempt
from swarmgate.chat import Delta, ModelCard, Usage
from swarmgate.echo import EchoBackend
from swarmgate.nouns import Demand, Health
from swarmgate.places import Place
from swarmgate.tallies import Tallies

pytestmark = pytest.mark.anyio


def an_attempt() -> Attempt:
    tallies = Tallies()
    place = Place("a", EchoBackend(), ModelCard(name="m"), Health(ready=True))
    return Attempt(tallies, tallies.begin(place, Demand(model="m", prompt_tokens=9), 0.0))


async def test_the_first_word_says_that_the_prompt_was_read() -> None:
    """A seed alone does not; tokens count as many as they are, text without tokens as one."""
    attempt = an_attempt()
    attempt.note(Delta(seed=7))
    assert not attempt.entry.read
    attempt.note(Delta(text="a", token_ids=(1, 2)))
    attempt.note(Delta(text="b"))
    assert (attempt.entry.read, attempt.entry.written) == (True, 3)
    attempt.note(Delta(finish="stop", usage=Usage(completion_tokens=5)))
    assert attempt.entry.length == 5


async def test_an_answer_in_one_piece_was_read_too() -> None:
    """It has no pieces that could tell."""
    attempt = an_attempt()
    attempt.answered()
    assert attempt.entry.read
