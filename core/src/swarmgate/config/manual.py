"""Writes configuration down for people: what can be set, and what is set."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import msgspec

from swarmgate.config import localai
from swarmgate.config.blueprint import DEFAULT, Blueprint
from swarmgate.config.fields import OptionField, fields_of
from swarmgate.config.layers import PREFIX
from swarmgate.config.settings import Settings
from swarmgate.config.tickets import VARIABLES
from swarmgate.parts import SLOTS, Options, Slot
from swarmgate.plugins import Entry

MASK = "***"
_WIDTH = 100
_ESCAPED = "\\|"
_STAR = "\\*"
_SETTINGS_VARIABLES = {
    **{f"{PREFIX}{name.upper()}": name for name in fields_of(Settings)},
    **localai.VARIABLES,
    **dict.fromkeys(VARIABLES, "token"),
}

_ORDER = """\
What is said nearer counts more: flags, then `GATEWAY_*` environment variables, then `./gateway.toml`,
then the user's own `~/.config/swarmgate/gateway.toml` (below `$XDG_CONFIG_HOME` where that is set), then the
defaults.  `--config FILE` (or `GATEWAY_CONFIG`) reads that file instead of both.  The table `[gateway]` is merged key
by key; the table of a slot in a nearer file replaces that slot whole.  An empty variable says nothing; lists
in variables are separated by commas.  Relative paths in a file are relative to the file's folder, elsewhere to
the working directory."""
_SHORTHANDS = """\
`GATEWAY_MODEL=a.gguf,b.gguf` (or `--model`, several times) stands for a `[[backend]]` with `use = "llamacpp"` for
each file, instead of the configured ones.  `GATEWAY_BALANCER`, `GATEWAY_SPLITTER` and `GATEWAY_LEDGER` (or
`--balancer`) choose a part by its name; the options of the configured table stand if it chose the same part.
`GATEWAY_NODES=http://a:8080,http://b:8080` (or `--node`, several times) stands for a `[[backend]]` with
`use = "openai"` for each URL, beside the others; `gateway federated` opens no other backends than such, nor does
`gateway run` where LocalAI's `FEDERATED_SERVER=true` is set and no `--model` is given.

Of all tokens that are given the nearest counts: `--p2ptoken`, `--token-file`, `GATEWAY_TOKEN`, `GATEWAY_TOKEN_FILE`,
LocalAI's `LOCALAI_P2P_TOKEN`, `P2P_TOKEN` and `TOKEN`, then `token` or `token_file` of the nearest file with either.
One that is given means `p2p = true`; `p2p = false` in a variable or file outweighs all but the flags, for where `TOKEN`
is meant for others.  In a swarm, slots without a table get the parts meant for it, as said at each below."""


def option_facts(options: type[Options], environ: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return what *options* can be told, for programs; *environ* maps variables to options."""
    variables: dict[str, list[str]] = {}
    for variable, option in environ.items():
        variables.setdefault(option, []).append(variable)
    return [
        {
            "name": field.name,
            "type": field.kind,
            "required": field.required,
            "default": _builtin(field.default),
            "default_text": default_text(field),
            "variable": ", ".join(variables.get(field.name, [])),
            "secret": field.secret,
            "help": field.help,
        }
        for field in fields_of(options).values()
    ]


def default_text(field: OptionField) -> str:
    """Return what an option is when it is not given, in words."""
    if field.required:
        return "required"
    if field.computed:
        return "found out at the start if not given"
    if field.default is None:
        return "not set"
    return f"default {toml_value(field.default)}"


def facts(blueprint: Blueprint) -> dict[str, Any]:
    """Return every value of *blueprint* and where it came from, with secrets masked."""
    return {
        "settings": _values(blueprint.settings, blueprint.origins),
        "parts": [
            {
                "slot": choice.slot.name,
                "part": choice.part.name,
                "many": choice.slot.many,
                "distribution": choice.distribution,
                "origin": choice.origin,
                "options": _values(choice.options, choice.origins),
            }
            for choice in blueprint.choices
        ],
    }


def _values(options: Options, origins: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "value": _masked(field, getattr(options, field.attribute)),
            "origin": origins.get(name, DEFAULT),
        }
        for name, field in fields_of(type(options)).items()
    }


def _masked(field: OptionField, value: Any) -> Any:
    value = _builtin(value)
    return MASK if field.secret and value else value


def _builtin(value: Any) -> Any:
    return msgspec.to_builtins(value, enc_hook=str, str_keys=True)


def as_toml(shown: Mapping[str, Any]) -> str:
    """Write what :func:`facts` found as TOML, each value with where it came from."""
    rows: list[tuple[str, str]] = [("[gateway]", "")]
    rows += _rows(shown["settings"])
    for part in shown["parts"]:
        heading = f"[[{part['slot']}]]" if part["many"] else f"[{part['slot']}]"
        rows += [("", ""), (heading, part["distribution"]), (f"use = {toml_value(part['part'])}", part["origin"])]
        rows += _rows(part["options"])
    width = min(max(len(line) for line, _ in rows), 60)
    return "".join(f"{line:{width}}  # {origin}\n" if origin else f"{line}\n" for line, origin in rows)


def _rows(values: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for name, each in values.items():
        if each["value"] is None:
            yield f"# {name} is not set", ""
        else:
            yield f"{name} = {toml_value(each['value'])}", each["origin"]


def toml_value(value: Any) -> str:
    """Write one value as TOML."""
    value = _builtin(value)
    if isinstance(value, dict):
        table = cast("dict[str, Any]", value)
        pairs = [f"{toml_value(key)} = {toml_value(each)}" for key, each in table.items() if each is not None]
        return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml_value, cast('list[Any]', value)))}]"
    if isinstance(value, float):
        return repr(value)
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")


def template(entries: Iterable[Entry]) -> str:
    """Write a configuration file in which everything is explained and nothing is changed."""
    lines = [
        *_comment("The configuration of this gateway.  What begins with # is the default, or not set."),
        *_comment("`gateway config check` finds mistakes, `gateway config show` says where each value comes from."),
        "",
        "[gateway]",
    ]
    for name, field in fields_of(Settings).items():
        lines += ["", *_comment(_explained(field, f"{PREFIX}{name.upper()}")), _assignment(field)]
    known = list(entries)
    for slot in SLOTS:
        if parts := [entry for entry in known if entry.slot.name == slot.name]:
            lines += ["", "", *_slot_comment(slot, parts)]
            for entry in sorted(parts, key=lambda entry: _rank(slot, entry)):
                lines += ["", *_table(slot, entry)]
    return "\n".join(lines) + "\n"


def _rank(slot: Slot[Any], entry: Entry) -> tuple[int, str]:
    names = slot.defaults
    return (names.index(entry.part.name) if entry.part.name in names else len(names), entry.part.name)


def _slot_comment(slot: Slot[Any], parts: list[Entry]) -> Iterator[str]:
    first = next((name for name in slot.defaults if name in {entry.part.name for entry in parts}), None)
    text = f"{slot.name}: {slot.summary}."
    text += f"  Without a table here, {first!r} is used." if first else "  Without a table here, there is none."
    installed = [name for name in slot.swarm_defaults if name in {entry.part.name for entry in parts}]
    if slot.swarm_defaults and installed != [first]:
        text += f"  In a swarm: {', '.join(map(repr, installed if slot.many else installed[:1]))}."
    yield from _comment(text + ("  There may be several tables." if slot.many else ""))


def _table(slot: Slot[Any], entry: Entry) -> Iterator[str]:
    yield from _comment(entry.part.summary)
    yield f"#[[{slot.name}]]" if slot.many else f"#[{slot.name}]"
    yield f"#use = {toml_value(entry.part.name)}"
    variables = {option: variable for variable, option in entry.part.environ.items()}
    for name, field in fields_of(entry.part.options).items():
        yield from _comment(_explained(field, variables.get(name, "")))
        yield _assignment(field)


def _explained(field: OptionField, variable: str) -> str:
    missing = "required" if field.required else "not set" if field.default is None else ""
    notes = ", ".join(filter(None, (field.kind, missing, variable)))
    return f"{field.help} ({notes})" if field.help else f"({notes})"


def _assignment(field: OptionField) -> str:
    return f"#{field.name} = {_placeholder(field) if field.default is None else toml_value(field.default)}"


def _placeholder(field: OptionField) -> str:
    """Return something to write over, so that a line is TOML as soon as it is no comment."""
    if field.choices:
        return toml_value(field.choices[0])
    if field.many:
        return "[]"
    return "0" if "number" in field.kind else "false" if "true or false" in field.kind else '"..."'


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def markdown(entries: Iterable[Entry]) -> str:
    """Write the reference of the settings and of the options of *entries*."""
    known = list(entries)
    lines = ["# Configuration", "", "<!-- Written by `gateway config manual`; change the code, not this file. -->", ""]
    lines += [_ORDER, "", "## `[gateway]`", ""]
    lines += _markdown_table(fields_of(Settings), _SETTINGS_VARIABLES)
    lines += ["", _SHORTHANDS]
    for slot in SLOTS:
        parts = [entry for entry in known if entry.slot.name == slot.name]
        if not parts:
            continue
        heading = f"[[{slot.name}]]" if slot.many else f"[{slot.name}]"
        defaults = ", ".join(f"`{name}`" for name in slot.defaults) or "none"
        lines += ["", f"## `{heading}`", "", f"{slot.summary.capitalize()}.  The default is the first of: {defaults}."]
        if slot.swarm_defaults:
            names = ", ".join(f"`{name}`" for name in slot.swarm_defaults)
            lines[-1] += (
                f"  In a swarm it is {'every one' if slot.many else 'the first'} that is installed of: {names}."
            )
        for entry in sorted(parts, key=lambda entry: _rank(slot, entry)):
            lines += ["", f"### `use = {toml_value(entry.part.name)}`", "", f"{entry.part.summary}"]
            lines += [f"From `{entry.distribution}`.", ""]
            fields = fields_of(entry.part.options)
            lines += _markdown_table(fields, entry.part.environ) if fields else ["It has no options."]
    return "\n".join(lines) + "\n"


def _markdown_table(fields: Mapping[str, OptionField], environ: Mapping[str, str]) -> Iterator[str]:
    yield "| option | what | default | environment |"
    yield "|---|---|---|---|"
    for name, field in fields.items():
        variables = ", ".join(f"`{variable}`" for variable, option in environ.items() if option == name)
        default = default_text(field)
        if default.startswith("default "):
            default = f"`{default.removeprefix('default ')}`"
        what = f"{field.help.replace('*', _STAR)} *{field.kind}*".strip()
        cells = (f"`{name}`", what, default, variables)
        yield f"| {' | '.join(cell.replace('|', _ESCAPED) for cell in cells)} |".replace("  |", " |")
