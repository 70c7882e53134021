from __future__ import annotations

import random
from itertools import islice

from swarmgate.cli.volley import prompts


def test_prompts_are_as_long_as_wanted_and_each_its_own() -> None:
    """In words, of which each has so many tokens; the same dice throw the same prompts."""
    some = list(islice(prompts(100, 2.0, random.Random(1)), 20))
    assert {len(text.split()) for text in some} == {50}
    assert len({text[:40] for text in some}) == 20
    assert some == list(islice(prompts(100, 2.0, random.Random(1)), 20))
    assert next(prompts(1, 7.0, random.Random(1))) != ""
