"""Makes options from what was given for them, and says everything that is wrong at once."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import msgspec

from swarmgate.config.faults import Fault, Place, fault, suggest
from swarmgate.config.fields import OptionField, fields_of
from swarmgate.config.origins import KeyPath
from swarmgate.parts import Options

OptionsT = TypeVar("OptionsT", bound=Options)

_MASK = "***"
_KINDS: Mapping[type, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "a table",
}
_LONGEST = 60  # characters of a text shown in a message
_WIDEST = 200  # bits of a number shown in a message
_ERROR = re.compile(r"(?P<what>.*?)(?: - at `(?P<path>[^`]*)`)?", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|(\[\.\.\.\])")
_EXPECTED = re.compile(r"Expected `(?P<wanted>[^`]*)`(?:, got `[^`]*`| (?P<bound>.*))?", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`", re.DOTALL)
_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text in quotes",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
}


class Given(NamedTuple):
    """A value and the place where it was given."""

    value: Any
    place: Place


def decode(
    kind: type[OptionsT],
    given: Mapping[str, Given],
    whole: Place,
    report: Callable[[Fault], None],
) -> OptionsT | None:
    """Make *kind* from *given*, option by option, so that one fault does not hide another.

    *whole* is the place of the table: it is to blame for what is missing.  Values given as bare
    strings (in the environment or as a flag) are converted, and split on commas for a list.
    Returns ``None`` when something was reported.
    """
    fields = fields_of(kind)
    values: dict[str, Any] = {}
    sound = True
    for name, (value, place) in given.items():
        if name not in fields:
            report(fault(place, f"unknown option {name!r}; {suggest(name, fields)}"))
            sound = False
            continue
        try:
            values[fields[name].attribute] = _convert(value, fields[name], place)
        except msgspec.ValidationError as error:
            tail, what = _explain(error, value, fields[name])
            subject = f"{_dotted((name, *tail))}: " if place.in_file else ""
            report(fault(place.at(*tail), subject + what))
            sound = False
    for name, field in fields.items():
        if name not in given and field.required:
            report(fault(whole, f"option {name!r} is required: {field.kind}"))
            sound = False
    if not sound:
        return None
    try:
        return kind(**values)
    except Exception as error:  # noqa: BLE001 -- a part's own __post_init__ may raise anything
        what = " ".join(str(error).split()) or type(error).__name__
        for name, field in fields.items():
            if field.secret and name in given:
                what = _mask(what, given[name].value)
        named = re.match(r"\w+", what)
        culprit = given.get(named[0]) if named else None
        report(fault(culprit.place if culprit else whole, what))
        return None


def amend(options: OptionsT, given: Mapping[str, Given], report: Callable[[Fault], None]) -> OptionsT | None:
    """Make options like *options*, with what is *given* in the place of what they say; else like :func:`decode`."""
    kept = Place("options")
    said = {name: Given(getattr(options, field.attribute), kept) for name, field in fields_of(type(options)).items()}
    return decode(type(options), {**said, **given}, kept, report)


def _convert(value: Any, field: OptionField, place: Place) -> Any:
    if field.many and isinstance(value, str) and not place.in_file:
        value = [piece.strip() for piece in value.split(",") if piece.strip()]
    try:
        made = msgspec.convert(value, field.type, strict=place.in_file)
    except (OverflowError, RecursionError) as error:
        raise msgspec.ValidationError(f"{error}") from None
    if _has_nan(made):
        raise msgspec.ValidationError("Expected `float`, got `nan`")
    return _resolve(made, place.folder) if field.path else made


def _has_nan(value: Any) -> bool:
    """Say whether *value* holds what is not a number: no bound keeps it out."""
    if isinstance(value, list | tuple):
        return any(map(_has_nan, cast("list[Any] | tuple[Any, ...]", value)))
    return isinstance(value, float) and math.isnan(value)


def _resolve(value: Any, folder: Path | None) -> Any:
    """Expand ``~``, and make relative paths relative to the folder of the file they stand in."""
    if isinstance(value, list | tuple):
        several = cast("list[Any] | tuple[Any, ...]", value)
        return type(several)(_resolve(each, folder) for each in several)
    if not isinstance(value, str) or not value:
        return value
    path = Path(value)
    if value.startswith("~"):
        try:
            return str(path.expanduser())
        except RuntimeError:  # nobody of that name has a home here
            return value
    return value if folder is None else str(folder / path)


def _explain(error: msgspec.ValidationError, value: Any, field: OptionField) -> tuple[KeyPath, str]:
    """Put msgspec's message into the operator's words; return where inside *value* it points as well."""
    match = _ERROR.fullmatch(str(error))
    what, path = (match["what"], match["path"] or "") if match else (str(error), "")
    tail: KeyPath = ()
    for key, index, anything in _STEP.findall(path):
        if anything:  # msgspec does not say which key of a mapping
            break
        tail = (*tail, int(index) if index else key)
    found = _shown(_inside(value, tail), secret=field.secret)
    if unknown := _UNKNOWN.fullmatch(what):
        return tail, f"unknown option {unknown[1]!r}"
    if missing := _MISSING.fullmatch(what):
        return tail, f"option {missing[1]!r} is required"
    if field.choices:
        return tail, f"expected one of {', '.join(field.choices)}, found {found}"
    expected = _EXPECTED.fullmatch(what)
    if expected is None:
        # The remark of a converter: it may quote the value.
        return tail, _mask(what[:1].lower() + what[1:], value) if field.secret else f"{what[:1].lower()}{what[1:]}"
    wanted = " or ".join(_WORDS.get(each, each) for each in expected["wanted"].split(" | ") if each != "null")
    if expected["bound"] and field.example:
        return tail, f"expected something like {field.example}, found {found}"
    return tail, f"expected {wanted}{' ' + expected['bound'] if expected['bound'] else ''}, found {found}"


def _inside(value: Any, tail: KeyPath) -> Any:
    try:
        for step in tail:
            value = value[step]
    except (LookupError, TypeError):  # a list that was still a string, or an option under another name
        return value
    return value


def _shown(value: Any, *, secret: bool) -> str:
    """Show a value in a message, briefly; of a secret or of what does not fit a line, show its kind."""
    kind = cast("type[object]", type(value))
    name = _KINDS.get(kind, f"a {kind.__name__}")
    brief = isinstance(value, str | float | bool) or (isinstance(value, int) and value.bit_length() < _WIDEST)
    if secret or not brief:
        return name
    if isinstance(value, str):
        return repr(value if len(value) <= _LONGEST else f"{value[:_LONGEST]}...")
    return str(value).lower()


def _mask(text: str, secret: Any) -> str:
    """Take *secret*, or every text in it, out of *text*."""
    match secret:
        case str():
            return text.replace(secret, _MASK) if secret else text
        case list() | tuple():
            for each in cast("list[Any] | tuple[Any, ...]", secret):
                text = _mask(text, each)
        case dict():
            for each in cast("dict[str, Any]", secret).values():
                text = _mask(text, each)
        case _:
            return text.replace(str(secret), _MASK)
    return text


def _dotted(path: KeyPath) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
