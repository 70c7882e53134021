from __future__ import annotations

from sidebyside.prompts import question, words


def test_prompts_hang_on_their_seed_alone() -> None:
    """Both sides get the same prompt; another round gets another one from its first words on."""
    assert words(100, "a") == words(100, "a")
    assert words(100, "a")[:20] != words(100, "b")[:20]
    assert len(words(100, "a").split()) == 100
    assert question("a") != question("b")
