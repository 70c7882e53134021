from __future__ import annotations

import pytest
from swarmgate.cli.conversation import COMMANDS, Conversation, Order, order_of


@pytest.mark.parametrize(
    ("line", "order"),
    [
        ("hello", None),
        ("//model is a word", None),
        ("/model qwen", Order("/model", "qwen")),
        ("/system be brief\nand kind", Order("/system", "be brief\nand kind")),
        ("/bye", Order("/quit", "")),
        ("/nothing", Order("/nothing", "")),
        ("a /model", None),
    ],
)
def test_a_line_is_an_order_or_meant_for_the_model(line: str, order: Order | None) -> None:
    """Orders begin with one slash, have other people's names too, and take what stands behind them."""
    assert order_of(line) == order


def test_what_was_said_is_said_again() -> None:
    """Each question comes with the system's message and all before it, and with the wishes."""
    talk = Conversation("m", "be brief", {"max_tokens": 5})
    talk.ask("a")
    talk.answered("b")
    order = talk.ask("//c")
    assert (order["model"], order["max_tokens"], order["stream"]) == ("m", 5, True)
    assert [(each["role"], each["content"]) for each in order["messages"]] == [
        ("system", "be brief"),
        ("user", "a"),
        ("assistant", "b"),
        ("user", "/c"),
    ]


def test_a_question_without_an_answer_is_forgotten() -> None:
    """But half an answer is kept."""
    talk = Conversation("m")
    talk.ask("a")
    talk.answered("")
    assert talk.said == []
    talk.ask("a")
    talk.answered("hal")
    assert talk.said == [("user", "a"), ("assistant", "hal")]
    talk.answered("")
    assert len(talk.said) == 2


def test_the_last_question_can_be_taken_back() -> None:
    """As it was typed, with its answer; and all can be forgotten."""
    talk = Conversation("m", "s")
    assert talk.take_back() == ""
    for question in ("a", "//b"):
        talk.ask(question)
        talk.answered("x")
    assert talk.take_back() == "//b"
    assert talk.said == [("user", "a"), ("assistant", "x")]
    talk.clear()
    assert (talk.said, talk.system) == ([], "s")


def test_commands_explain_themselves() -> None:
    """Each has a name with a slash and a text."""
    assert all(name.startswith("/") and text for name, text in COMMANDS.items())
