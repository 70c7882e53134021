"""``gateway chat``: a conversation with a model of the running gateway."""

from __future__ import annotations

import sys
from typing import Any

import click

from swarmgate.cli.known import chosen, complete_models
from swarmgate.cli.output import expected_errors, fail
from swarmgate.cli.reading import config_option, read
from swarmgate.cli.verbs import examples
from swarmgate.config.settings import Settings
from swarmgate.errors import SwarmgateError


@click.command(epilog=examples("gateway chat", "gateway chat qwen --system 'Be brief.'", "gateway chat < question.txt"))
@click.argument("model", required=False, shell_complete=complete_models)
@click.option("--system", metavar="TEXT", default="", help="The system's message, before all others.")
@click.option("--max-tokens", type=click.IntRange(min=1), metavar="N", help="End each answer after so many tokens.")
@click.option("--temperature", type=click.FloatRange(0, 2), metavar="T", help="0 is the likeliest word each time.")
@click.option("--no-history", is_flag=True, help="Keep nothing of what is typed for the next time.")
@config_option
def chat(model: str | None, file: str | None, *, system: str, no_history: bool, **wishes: Any) -> None:
    """Talk to MODEL, or to the first that is ready, by the gateway that runs at the configured address.

    Enter sends; Alt-Enter (or Ctrl-J, or a backslash at the end) begins a new line.  Ctrl-C stops an answer, /help
    lists the commands.  Where the input is no terminal it is the question, and the answer alone is printed.

    The status is 1 if no gateway runs there, or if a question that is no conversation gets no answer.
    """
    with expected_errors():
        blueprint, _, _ = read(file, local=False)
    settings = blueprint.settings
    wanted = {name: value for name, value in wishes.items() if value is not None}
    from swarmgate.cli.conversation import Conversation

    conversation = Conversation(chosen(settings, model, able="chat"), system, wanted)
    if sys.stdin.isatty() and sys.stdout.isatty():
        from swarmgate.cli.talk import Talk

        Talk(settings, conversation, kept=not no_history).hold()
        return
    question = sys.stdin.read()
    if not question.strip():
        fail("the input is empty; expected a question")
    try:
        _print_alone(settings, conversation.ask(question))
    except SwarmgateError as error:
        fail(str(error))


def _print_alone(settings: Settings, order: dict[str, Any]) -> None:
    from swarmgate.cli.answers import Told, pieces

    last = ""
    for piece in pieces(settings, order, Told()):
        if piece.kind == "text":
            last = piece.text
            click.echo(last, nl=False)
    if not last.endswith("\n"):
        click.echo()
