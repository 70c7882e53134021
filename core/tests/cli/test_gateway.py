from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from swarmgate.cli import main
from swarmgate.cli.gateway import main as same_main

Gateway = Callable[..., subprocess.CompletedProcess[str]]
GREETING = """
import click
from swarmgate.api import hookimpl


@click.command(help="Say hello.")
def greet():
    click.echo("hello")

@click.command()
def run():
    click.echo("not ours")

@hookimpl
def swarmgate_commands():
    return [greet, run]
"""


def verbs(group: click.Group, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    yield words, group
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from verbs(command, (*words, name))
        else:
            yield (*words, name), command


VERBS = dict(verbs(main))


def test_the_entry_point_is_the_command() -> None:
    """`gateway`, `python -m swarmgate` and the module lead to one place."""
    assert main is same_main


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_every_verb_has_help_with_an_example(words: tuple[str, ...]) -> None:
    """Each says in a sentence what it does, and shows a line that can be typed."""
    command = VERBS[words]
    text = command.get_help(click.Context(command, info_name=" ".join(("gateway", *words))))
    assert f"  gateway {words[0]}" in text if words else "  gateway run" in text
    assert command.help


def test_the_summaries_in_the_lists_are_of_real_verbs() -> None:
    """What --help lists without importing it is there."""
    names = {" ".join(words) for words in VERBS}
    assert {"run", "config init", "config check", "config show", "plugins list", "plugins show", "version"} <= names


def test_help_is_quick(gateway: Gateway) -> None:
    """It imports nothing that takes long, though it knows the plugins' commands."""
    done = gateway("--help", PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "swarmgate.plugins" in imported
    assert not imported & {
        "structlog",
        "rich",
        "litestar",
        "uvicorn",
        "asyncio",
        "cryptography",
        "numpy",
        "llama_cpp",
        "trio",
        "uvloop",
        "textual",
        "prompt_toolkit",
        "aiohttp",
    }


def test_plugins_commands_stand_beside_ours(gateway: Gateway, outsider: Callable[..., Path]) -> None:
    """They are listed with whose they are, and run; but none takes the place of one of ours."""
    site = outsider("acme-greeting", GREETING)
    shown = gateway("--help", path=site).stdout
    assert "Say hello. (acme-greeting 1.2.3)" in " ".join(shown.split())
    assert shown.count("\n  run ") == 1
    assert gateway("greet", path=site).stdout == "hello\n"
    assert "Serve the configured models" in gateway("run", "--help", path=site).stdout


def test_a_broken_plugin_does_not_break_the_help(gateway: Gateway, outsider: Callable[..., Path]) -> None:
    """It is mentioned, and everything works."""
    done = gateway("--help", path=outsider("acme-broken", "raise ValueError"))
    assert done.returncode == 0
    assert "Broken plugins: acme_broken; see `gateway plugins list`." in done.stdout


@pytest.mark.parametrize("arguments", [["nonsense"], ["run", "--nonsense"], ["plugins", "nonsense"]])
def test_what_cannot_be_understood_has_status_two(gateway: Gateway, arguments: list[str]) -> None:
    """The status tells a mistake in the call from a failure."""
    assert gateway(*arguments).returncode == 2
