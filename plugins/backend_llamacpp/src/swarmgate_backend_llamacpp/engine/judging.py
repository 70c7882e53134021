"""The tokens of a query and a text in the form a reranker was trained on."""

from __future__ import annotations

from typing import Protocol


class Vocabulary(Protocol):
    """What a model's tokenizer knows, as far as it takes to put a query and a text together."""

    def tokenize(self, text: str, *, special: bool, add_special: bool = False) -> list[int]:
        """Return *text*'s tokens."""
        ...

    def special(self, name: str) -> int:
        """Return the id of ``bos``, ``eos`` or ``sep``, -1 where there is none."""
        ...

    def adds(self, name: str) -> bool:
        """Return whether texts get that token."""
        ...

    def template(self, name: str) -> str:
        """Return the template of that name in the model's file, empty if there is none."""
        ...


def judged(query: str, text: str, vocabulary: Vocabulary) -> list[int]:
    """Return the tokens by which *text* is judged by *query*.

    A file may bring a template for it.  Else the two stand one after the other, with the tokens around and between
    them that the vocabulary has for that, as llama.cpp puts them.
    """
    template = vocabulary.template("rerank")
    if template:
        before, _, rest = template.partition("{query}")
        between, _, after = rest.partition("{document}")
        return vocabulary.tokenize(f"{before}{query}{between}{text}{after}", special=True)
    end = vocabulary.special("eos")
    if end < 0:
        end = vocabulary.special("sep")
    first = [vocabulary.special("bos")] if vocabulary.adds("bos") else []
    last = [end] if vocabulary.adds("eos") else []
    between_them = [vocabulary.special("sep")] if vocabulary.adds("sep") else []
    asked, said = (vocabulary.tokenize(part, special=False) for part in (query, text))
    return [*first, *asked, *last, *between_them, *said, *last]
