from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from live_gateway import live_gateway
from prompt_toolkit import PromptSession
from pseudo_terminal import Terminal, terminal
from swarmgate.cli import talk
from swarmgate.cli.answers import Piece, Told
from swarmgate.cli.conversation import Conversation
from swarmgate.cli.talk import Talk, remark
from swarmgate.config.settings import Settings

#: Only what hangs takes so long; a machine that has much else to do is slow.
pytestmark = [pytest.mark.journey, pytest.mark.timeout(300)]
COMMAND = (sys.executable, "-m", "swarmgate", "chat")


@contextmanager
def talking(home: Path, environ: dict[str, str], *words: str, **echo: Any) -> Generator[Terminal]:
    backends = [{"use": "echo", **echo}, {"use": "echo", "model": "parrot"}]
    with live_gateway(home, backends), terminal((*COMMAND, *words), cwd=home, env=environ) as screen:
        screen.until(">>>")
        yield screen


def send(screen: Terminal, keys: str) -> None:
    """Press *keys* where a prompt waits for them: before, the terminal would take Enter for the end of a line."""
    screen.until(lambda text: text.rstrip().endswith(">>>"))
    screen.type(keys)


def test_what_is_typed_is_answered_with_who_answered(home: Path, environ: dict[str, str]) -> None:
    """Line after line; a line can have several; what is no command is said so; Ctrl-D leaves."""
    with talking(home, environ) as screen:
        send(screen, "first words\r")
        screen.until("(by echo, 11 tokens in ")
        send(screen, "one\\\rtwo\x1b\rthree\r")
        screen.until(lambda text: text.count("three") == 2)
        screen.until("13 tokens")
        send(screen, "/nothing\r")
        screen.until("there is no command /nothing; /help lists them")
        send(screen, "/help\r")
        screen.until("talk to another model: /model NAME")
        send(screen, "\x04")
        assert screen.end() == 0
    history = home / "chat_history"
    assert "first words" in history.read_text()
    assert history.stat().st_mode & 0o777 == 0o600


def test_models_are_changed_and_words_forgotten(home: Path, environ: dict[str, str]) -> None:
    """/model lists and chooses, /system begins anew, /retry asks again, /quit leaves; nothing need be kept."""
    with talking(home, environ, "--no-history") as screen:
        send(screen, "/model\r")
        screen.until("* echo")
        screen.until("  parrot")
        send(screen, "/model parrot\r")
        screen.until("(now with parrot)")
        send(screen, "/model crow\r")
        screen.until("no model is called 'crow'; /model lists them")
        send(screen, "hello\r")
        screen.until("(by echo-2, 5 tokens in ")
        send(screen, "/retry\r")
        screen.until(lambda text: text.count("(by echo-2, 5 tokens in ") == 2)
        send(screen, "/system be brief\r")
        screen.until("(begun anew)")
        send(screen, "/retry\r")
        screen.until("(nothing was asked yet)")
        send(screen, "/quit\r")
        assert screen.end() == 0
    assert not home.joinpath("chat_history").exists()


def test_ctrl_c_stops_the_answer_and_not_the_conversation(home: Path, environ: dict[str, str]) -> None:
    """What came so far stays, the gateway stops writing, and the next question is answered."""
    with talking(home, environ, "echo", delay_seconds=0.3) as screen:
        send(screen, "count one two three four five six seven eight nine ten\r")
        screen.until(lambda text: text.count("count one two") == 2)
        screen.type("\x03")
        screen.until("(stopped)")
        send(screen, "go on\r")
        screen.until("(by echo, 5 tokens in ")
        screen.type("\x03")
        screen.until("(Ctrl-D or /quit leaves)")
        send(screen, "/quit\r")
        assert screen.end() == 0


def test_ctrl_c_between_an_answer_and_the_prompt_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It comes where nothing is to be stopped any more: the answer is kept, and the next line is read."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(talk, "pieces", lambda *_, **__: iter([Piece("text", "yes")]))
    monkeypatch.setattr(talk, "look_up", interrupted)
    conversation = Conversation("m")
    typed = iter(["well?", "/quit"])
    monkeypatch.setattr(PromptSession, "prompt", lambda *_: next(typed))
    Talk(Settings(state_dir=str(tmp_path)), conversation, kept=False).hold()
    assert "(Ctrl-D or /quit leaves)" in capsys.readouterr().out
    assert conversation.said == [("user", "well?"), ("assistant", "yes")]


def test_a_fault_is_told_and_the_talk_goes_on(home: Path, environ: dict[str, str]) -> None:
    """As the gateway says it; the question is forgotten, so that the next one is not refused for it."""
    with talking(home, environ, context_length=64) as screen:
        send(screen, "x" * 70 + "\r")
        screen.until("shorten it)")
        send(screen, "hello\r")
        screen.until("(by echo, 5 tokens in ")
        send(screen, "/quit\r")
        assert screen.end() == 0


def test_a_remark_says_who_and_how() -> None:
    """Who answered, how often it was carried on, how fast, and why it ended early."""
    told = Told(worker="node-2", resumed=2, tokens=9, finish="length")
    assert remark(told, 1.25) == "(by node-2, carried on 2 times, 9 tokens in 1.2 s, cut at the most tokens allowed)"
    assert remark(Told(), 1.0) == "(done)"
