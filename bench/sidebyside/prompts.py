"""Prompts of a wanted length that nobody has cached: drawn from a seed.  Pure."""

from __future__ import annotations

from random import Random

# Each is one token with a blank before it in the vocabularies of today's models.
_WORDS = """
time year people way day man thing woman life child world school state family student group country problem hand part
place case week company system program question work government number night point home water room mother area money
story fact month lot right study book eye job word business issue side kind head house service friend father power hour
game line end member law car city community name president team minute idea body information back parent face others
level office door health person art war history party result change morning reason research girl guy moment air teacher
"""


def words(count: int, seed: str) -> str:
    """Return about *count* tokens of meaningless English; another seed, other words from the first on."""
    random = Random(seed)  # noqa: S311 - repeatable prompts, no secrets
    known = _WORDS.split()
    drawn = [random.choice(known) for _ in range(count)]
    return " ".join(word + "." if number % 12 == 11 else word for number, word in enumerate(drawn))  # noqa: PLR2004 - sentences of a dozen words


def question(seed: str) -> str:
    """Return a short user message of its own."""
    return f"Write a long story about these things: {words(12, seed)}"
