from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from swarmgate.cli.gateway import main

#: Where people copy commands from: the documentation, the page, and what starts us elsewhere.
SHOWN = ("README.md", "docs/*.md", "page/src/join.tsx", "deploy/compose.yaml", "deploy/Dockerfile", "deploy/*.service")
#: Our command, or the image or service that starts it, and its words up to the end of the command.
_COMMAND = re.compile(r"(?<![\w./-])(?:\S*/bin/gateway|gateway|-T (?:gateway|worker)|swarmgate) (?=[a-z])([^\n|<>&)]*)")
#: For ids that are not written out.
_SOMEBODY = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"
#: By kind of file: what shows commands there, and nothing else does.
_LINES = {
    ".md": r"^ *[$#] (.*)",
    ".tsx": r"^ *(?:worker|node|const \w+)\b.*?([\"'`])(.*)\1[,;]$",
    ".yaml": r"^#   (.*)| (?=command: )(.*)",
    ".service": r"^ExecStart=(.*)",
    "": r"^#   (.*)",
}


def commands(file: Path) -> Iterator[list[str]]:
    """Yield what our command is given, for each time that *file* shows it."""
    text = file.read_text(encoding="utf-8").replace("\\\n", "").replace("\\\\\\n", "")
    for constant, value in re.findall(r"const (\w+) = [\"'`](.*)[\"'`];", text):
        text = text.replace(f"${{{constant}}}", value)
    for match in re.finditer(_LINES[file.suffix], text, re.MULTILINE):
        line = match[match.lastindex or 0]
        if listed := re.match(r"command: \[(.*)\]", line):
            line = f"gateway {listed[1].replace(',', '')}"
        for found in _COMMAND.findall(line):
            yield shlex.split(found.replace("12D3KooW…", _SOMEBODY), comments=True)


def typed(command: click.Command, words: list[str]) -> click.Command:
    """Have *words* parsed as the terminal would, and return whom they lead to; nothing is done."""
    context = command.make_context(command.name, list(words))
    if not isinstance(command, click.Group):
        return command
    _, below, rest = command.resolve_command(context, [*context._protected_args, *context.args])
    assert below is not None, words
    return typed(below, rest)


@pytest.mark.parametrize("pattern", SHOWN)
def test_what_is_shown_can_be_typed(pattern: str, root: Path) -> None:
    """Every command of ours that is shown somewhere has verbs and options that there are."""
    shown = 0
    for file in sorted(root.glob(pattern)):
        for words in commands(file):
            try:
                typed(main, words)
            except (click.ClickException, SystemExit) as error:
                pytest.fail(f"{file}: gateway {shlex.join(words)}: {error}")
            shown += 1
    assert shown
