from __future__ import annotations

import enum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta
from swarmgate.config.fields import OptionField, fields_of
from swarmgate.parts import PATH, SECRET, NoOptions, Options


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Inner(msgspec.Struct):
    password: Annotated[str, SECRET]
    again: Inner | None = None


class Inherited(Options, frozen=True):
    #: Inherited help.
    above: int = 1


class Everything(Inherited, frozen=True, kw_only=True):
    #: Said above,
    #: in two lines.
    plain: int
    text: str = "a"
    """Said below."""

    silent: bool = True
    # An ordinary comment helps nobody.
    bounded: Annotated[float, Meta(gt=0, le=1.5)] = 0.5
    address: Annotated[str, Meta(examples=["h:1"])] | None = None
    word: Literal["zebra", "ant"] | None = None
    colour: Colour = Colour.RED
    many: list[int] = []
    several: Annotated[tuple[Annotated[str, PATH], ...], Meta(min_length=1)] = ("x",)
    either: str | list[str] = ""
    pair: tuple[int, str] = (1, "a")
    table: dict[str, int] = {}
    key: Annotated[str, SECRET] | None = None
    keys: tuple[Annotated[str, SECRET], ...] = ()
    inner: Inner | None = None
    anything: Any = None
    computed: str = msgspec.field(default_factory=lambda: "now")
    renamed: int = msgspec.field(default=0, name="other-name")


FIELDS = fields_of(Everything)


def having(attribute: str) -> set[str]:
    return {name for name, field in FIELDS.items() if getattr(field, attribute)}


def test_help_is_read_from_the_source() -> None:
    """From the comment above or the docstring below, inherited options included; other comments do not count."""
    assert {name: field.help for name, field in FIELDS.items() if field.help} == {
        "above": "Inherited help.",
        "plain": "Said above, in two lines.",
        "text": "Said below.",
    }


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("plain", "a whole number"),
        ("text", "text"),
        ("silent", "true or false"),
        ("bounded", "a number > 0 and <= 1.5"),
        ("word", "one of zebra, ant"),
        ("colour", "one of red, blue"),
        ("many", "a list of whole numbers"),
        ("several", "a list of paths"),
        ("either", "text or a list of texts"),
        ("pair", "a list of a whole number, text"),
        ("table", "a table"),
        ("inner", "a table"),
        ("anything", "anything"),
    ],
)
def test_types_are_put_in_words(name: str, kind: str) -> None:
    """What an operator reads has no Python in it."""
    assert FIELDS[name].kind == kind


def test_markers_are_found_wherever_they_stand() -> None:
    """Around the type, within a list, within an optional, and in a table of its own."""
    assert having("secret") == {"key", "keys", "inner"}
    assert having("path") == {"several"}


def test_only_lists_that_are_nothing_else_are_split() -> None:
    """A bare string for what may be text is that text."""
    assert having("many") == {"many", "several", "pair", "keys"}


def test_defaults_are_told_apart_from_what_is_required_or_computed() -> None:
    """Required, found out at the start, empty, or given."""
    assert having("required") == {"plain"}
    assert having("computed") == {"computed"}
    assert (FIELDS["many"].default, FIELDS["table"].default, FIELDS["computed"].default) == ([], {}, None)
    assert FIELDS["several"].default == ("x",)


def test_names_are_those_of_the_file() -> None:
    """An option may be called otherwise in Python."""
    assert FIELDS["other-name"].attribute == "renamed"
    assert FIELDS["address"].example == "h:1"


def test_a_class_without_source_has_no_help() -> None:
    """Options made on the spot are described all the same."""
    made = msgspec.defstruct("Made", [("size", int)], bases=(Options,), frozen=True)
    field: OptionField = fields_of(made)["size"]
    assert (field.kind, field.help) == ("a whole number", "")
    assert fields_of(NoOptions) == {}
