"""Groups of commands that import each of them when it is used, and show what plugins add."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

import click

if TYPE_CHECKING:
    from swarmgate.plugins import Catalogue


def examples(*lines: str) -> str:
    """Return *lines* as the end of a command's help; click leaves the block after a backspace as it is."""
    title = "Example" if len(lines) == 1 else "Examples"
    return "\n".join(("\b", f"{title}:", *(f"  {line}" for line in lines)))


class Verb(NamedTuple):
    """A command that is not imported yet: the module and name it has, and what the list of commands says of it."""

    module: str
    attribute: str
    summary: str


class LazyGroup(click.Group):
    """A group of *verbs* that stay where they are until one is used; *aliases* lead to them and are not listed."""

    def __init__(
        self, *args: object, verbs: dict[str, Verb], aliases: Mapping[str, str] | None = None, **kwargs: object
    ) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # click's own arguments, passed on
        self.verbs = verbs
        self.aliases = aliases or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order given."""
        return list(self.verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command called *cmd_name*."""
        if verb := self.verbs.get(self.aliases.get(cmd_name, cmd_name)):
            command: click.Command = getattr(import_module(verb.module), verb.attribute)
            return command
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.summary) for name, verb in self.verbs.items()])


class OpenGroup(LazyGroup):
    """A lazy group beside whose verbs stand the commands that plugins bring, but never in their place."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return our own names, then those of plugins."""
        return [*super().list_commands(ctx), *self._added()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return our own command of that name, or failing that a plugin's."""
        return super().get_command(ctx, cmd_name) or self._added().get(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List our own commands, then those of plugins, with whose they are."""
        super().format_commands(ctx, formatter)
        catalogue = _catalogue()
        added = [
            (name, f"{command.get_short_help_str(limit=60)} ({plugin.origin})".strip())
            for name, (command, plugin) in catalogue.commands().items()
            if name not in self.verbs
        ]
        if added:
            with formatter.section("Commands of plugins"):
                formatter.write_dl(added)
        if catalogue.broken:
            names = ", ".join(sorted(catalogue.broken))
            formatter.write_paragraph()
            formatter.write_text(f"Broken plugins: {names}; see `gateway plugins list`.")

    def _added(self) -> dict[str, click.Command]:
        commands = _catalogue().commands()
        return {name: command for name, (command, _) in commands.items() if name not in self.verbs}


def _catalogue() -> Catalogue:
    from swarmgate.plugins import load

    return load()
