"""The shell of a conversation: reads lines with prompt_toolkit, prints answers as they come."""

from __future__ import annotations

import os
import secrets
import sys
import time
from pathlib import Path

import click
from prompt_toolkit import PromptSession
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

from swarmgate.cli.answers import Piece, Told, look_up, pieces
from swarmgate.cli.conversation import COMMANDS, Conversation, Order, order_of
from swarmgate.cli.known import served
from swarmgate.cli.output import printable
from swarmgate.config.settings import Settings
from swarmgate.errors import SwarmgateError

_HISTORY = "chat_history"


class Talk:
    """Holds *conversation* with the gateway that *settings* name; *kept* says whether typed lines are remembered."""

    def __init__(self, settings: Settings, conversation: Conversation, *, kept: bool) -> None:
        self._settings = settings
        self._conversation = conversation
        self._session = f"chat-{secrets.token_hex(8)}"
        history = _history(settings.state_path() / _HISTORY) if kept else InMemoryHistory()
        self._prompt: PromptSession[str] = PromptSession(
            history=history,
            multiline=True,
            key_bindings=_keys(),
            prompt_continuation="... ",
            completer=WordCompleter(list(COMMANDS), sentence=True),
            complete_while_typing=False,
            reserve_space_for_menu=4,
        )

    def __repr__(self) -> str:
        return f"<Talk with {self._conversation.model}>"

    def hold(self) -> None:
        """Ask and answer until whoever sits there leaves."""
        click.echo(f"{self._conversation.model}: Enter sends, Ctrl-C stops an answer, /help lists the commands")
        while True:
            try:
                while self._turn():
                    pass
            except KeyboardInterrupt:  # it came where nothing was to be stopped: between an answer and the prompt
                click.echo("(Ctrl-D or /quit leaves)")
            else:
                return

    def _turn(self) -> bool:
        """Read a line and do what it says; say whether there may be another."""
        try:
            line = self._prompt.prompt(">>> ")
        except EOFError:
            return False
        order = order_of(line.strip())
        if order is None:
            if line.strip():
                self._answer(line)
        elif order.name == "/quit":
            return False
        else:
            self._obey(order)
        return True

    def _obey(self, order: Order) -> None:
        conversation = self._conversation
        match order:
            case Order("/help"):
                for name, does in COMMANDS.items():
                    click.echo(f"{name:<8}  {does}")
            case Order("/clear"):
                conversation.clear()
                click.echo("(forgotten)")
            case Order("/system", rest):
                conversation.system = rest
                conversation.clear()
                click.echo("(begun anew)" if rest else "(begun anew, without a system's message)")
            case Order("/model", rest):
                self._choose(rest)
            case Order("/retry"):
                question = conversation.take_back()
                if question:
                    self._answer(question)
                else:
                    click.echo("(nothing was asked yet)")
            case _:
                click.echo(f"there is no command {printable(order.name)}; /help lists them, // begins with a slash")

    def _choose(self, name: str) -> None:
        models = served(self._settings, able="chat")
        if not name:
            for each in models:
                mark = "*" if self._conversation.model in (each.name, *each.aliases) else " "
                click.echo(printable(f"{mark} {each.name}{'' if each.ready else ' (not ready)'}"))
        elif any(name in (each.name, *each.aliases) for each in models):
            self._conversation.model = name
            click.echo(printable(f"(now with {name})"))
        else:
            click.echo(printable(f"no model is called {name!r}; /model lists them"))

    def _answer(self, question: str) -> None:
        page = _Page()
        try:
            self._write(question, page)
        finally:  # also where Ctrl-C comes after the last piece
            self._conversation.answered(page.text)

    def _write(self, question: str, page: _Page) -> None:
        told = Told()
        began = time.monotonic()
        try:
            for piece in pieces(self._settings, self._conversation.ask(question), told, session=self._session):
                page.show(piece)
        except KeyboardInterrupt:
            page.remark("(stopped)")
        except SwarmgateError as error:
            page.remark(f"(error: {error})")
        else:
            seconds = time.monotonic() - began
            look_up(self._settings, told)
            page.remark(remark(told, seconds))


class _Page:
    """What is shown of one answer: thoughts dimmed and headed, so that nobody needs to see the dimming."""

    def __init__(self) -> None:
        self.text = ""
        self._kind: str = ""

    def show(self, piece: Piece) -> None:
        if piece.kind != self._kind:
            if piece.kind == "reasoning":
                _write(click.style("(thinking)\n", dim=True))
            elif self._kind:
                _write(click.style("\n(answer)\n", dim=True))
            self._kind = piece.kind
        if piece.kind == "text":
            self.text += piece.text
        shown = printable(piece.text, lines=True)
        _write(click.style(shown, dim=True) if piece.kind == "reasoning" else shown)

    def remark(self, words: str) -> None:
        """End the answer with *words* about it."""
        _write(("\n" if self._kind else "") + click.style(printable(words), dim=True) + "\n")


def remark(told: Told, seconds: float) -> str:
    """Return what is said below an answer: who gave it, and how fast."""
    facts = [f"by {told.worker}" if told.worker else ""]
    if told.resumed:
        facts.append(f"carried on {told.resumed} time{'s' if told.resumed > 1 else ''}")
    if told.tokens:
        facts.append(f"{told.tokens} tokens in {seconds:.1f} s")
    facts.append({"length": "cut at the most tokens allowed"}.get(told.finish, ""))
    return f"({', '.join(filter(None, facts)) or 'done'})"


def _write(text: str) -> None:
    sys.stdout.write(text if "NO_COLOR" not in os.environ else click.unstyle(text))
    sys.stdout.flush()


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    def send(event: KeyPressEvent) -> None:  # pyright: ignore[reportUnusedFunction]  # bound
        buffer = event.current_buffer
        if buffer.document.text_before_cursor.endswith("\\"):
            buffer.delete_before_cursor()
            buffer.newline(copy_margin=False)
        else:
            buffer.validate_and_handle()

    @keys.add("escape", "enter")
    @keys.add("c-j")
    def begin_line(event: KeyPressEvent) -> None:  # pyright: ignore[reportUnusedFunction]  # bound
        event.current_buffer.newline(copy_margin=False)

    return keys


def _history(path: Path) -> History:
    """Return what was typed before, in a file for its owner alone; in memory where there can be none."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(path))
