"""How a query and a text are put together."""

from __future__ import annotations

from dataclasses import dataclass, field

from swarmgate_backend_llamacpp.engine.judging import judged


@dataclass
class Letters:
    """A vocabulary of letters: capital ones are special, and get tokens below 100."""

    adds_all: tuple[str, ...] = ()
    ids: dict[str, int] = field(default_factory=lambda: {"bos": 1, "eos": 2, "sep": 3})
    source: str = ""

    def tokenize(self, text: str, *, special: bool, add_special: bool = False) -> list[int]:
        assert not add_special
        return [ord(letter) - (64 if special and letter.isupper() else -1000) for letter in text]

    def special(self, name: str) -> int:
        return self.ids.get(name, -1)

    def adds(self, name: str) -> bool:
        return name in self.adds_all

    def template(self, name: str) -> str:
        return self.source if name == "rerank" else ""


def plain(text: str) -> list[int]:
    return [ord(letter) + 1000 for letter in text]


def test_special_tokens_stand_around_and_between() -> None:
    """Those that the vocabulary has for it; what is in the texts is never special."""
    assert judged("q", "dA", Letters(("bos", "sep"))) == [1, *plain("q"), 3, *plain("dA")]
    assert judged("q", "d", Letters(("bos", "eos", "sep"))) == [1, *plain("q"), 2, 3, *plain("d"), 2]
    assert judged("q", "d", Letters()) == [*plain("q"), *plain("d")]


def test_without_an_end_the_separator_ends() -> None:
    """As in vocabularies of BERT's kind."""
    assert judged("q", "d", Letters(("eos",), {"sep": 3})) == [*plain("q"), 3, *plain("d"), 3]


def test_a_template_of_the_file_counts() -> None:
    """It says where the two go; its markers are special."""
    found = judged("q{document}", "d{query}", Letters(("bos",), source="A{query}B{document}C"))
    assert found == Letters().tokenize("Aq{document}Bd{query}C", special=True)
