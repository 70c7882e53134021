"""Which token counts of all that were given, and that it is one.  Pure, but for the reader of its file.

The nearest counts: ``--p2ptoken``, ``--token-file``; then the variables ``GATEWAY_TOKEN``, ``GATEWAY_TOKEN_FILE`` and
LocalAI's ``LOCALAI_P2P_TOKEN``, ``P2P_TOKEN`` and ``TOKEN``; then ``token`` and ``token_file`` of the nearest file that
has either.  One that was given means that the node joins a swarm, unless a variable or a file says ``p2p = false``:
that outweighs all but the flags, since ``TOKEN`` may well be meant for somebody else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, NamedTuple, cast

import msgspec

from swarmgate.config.decode import Given
from swarmgate.config.faults import Place
from swarmgate.config.layers import PREFIX, KeyReader, Sources
from swarmgate.config.settings import Settings
from swarmgate.errors import ConfigError
from swarmgate.swarm.token import read_pass

_OPTIONS: tuple[str, ...] = ("token", "token_file")
_FLAGS = {"token": "--p2ptoken", "token_file": "--token-file"}
#: LocalAI's names for the token, the most telling first.
VARIABLES = ("LOCALAI_P2P_TOKEN", "P2P_TOKEN", "TOKEN")


class Admission(NamedTuple):
    """The settings with the token that counts, and where it came from; None if there is none."""

    settings: Settings
    place: Place | None = None


class TokenFault(ConfigError):
    """What was given at *place* is no token."""

    def __init__(self, place: Place, what: str) -> None:
        super().__init__(what)
        self.place = place


def choose(sources: Sources, given: MutableMapping[str, Given], *, table: str) -> None:
    """Leave the one token or token file in *given* that counts; *table* is the settings' own in a file."""
    nearest = next(iter(_said(sources, table)), None)
    for option in _OPTIONS:
        given.pop(option, None)
    if nearest is not None:
        option, said = nearest
        given[option] = said


def admit(settings: Settings, given: Mapping[str, Given], read: KeyReader) -> Admission:
    """Return *settings* with what the token makes of them; *read* is asked for that of ``token_file``.

    Raises:
        TokenFault: it is none, or its file cannot be read; the message never quotes it.

    """
    option = next((name for name in _OPTIONS if name in given and getattr(settings, name)), None)
    if option is None:
        return Admission(settings)
    place = given[option].place
    if "p2p" in given and not settings.p2p and place.source not in _FLAGS.values():
        return Admission(msgspec.structs.replace(settings, token=None, token_file=None))
    text = settings.token or ""
    if option == "token_file":
        text = _only_line(settings.token_file or "", place, read)
    try:
        read_pass(text)
    except ConfigError as error:
        what = f"token_file {settings.token_file!r}: {error}" if option == "token_file" else str(error)
        stray = place.source in VARIABLES
        raise TokenFault(place, f"{what}; if it is meant for others, set p2p = false" if stray else what) from None
    return Admission(msgspec.structs.replace(settings, token=text.strip(), p2p=True), place)


def _only_line(file: str, place: Place, read: KeyReader) -> str:
    try:
        lines = read(file)
    except ConfigError as error:
        what = str(error).replace("there is no key in it; write one to a line", "there is no token in it")
        raise TokenFault(place, f"token_file {file!r}: {what}") from None
    if len(lines) != 1:
        raise TokenFault(place, f"token_file {file!r}: there are other lines in it, too; leave the one with the token")
    return lines[0]


def _said(sources: Sources, table: str) -> Iterator[tuple[str, Given]]:
    """Yield every token and token file that was given, the nearest first."""
    for option in _OPTIONS:
        if option in sources.flags:
            yield option, sources.flagged(option, _FLAGS[option])
    names = [(f"{PREFIX}{option.upper()}", option) for option in _OPTIONS] + [(name, "token") for name in VARIABLES]
    for variable, option in names:
        if said := sources.variable(variable):
            yield option, said
    for layer in sources.files:
        settings = layer.data.get(table)
        if isinstance(settings, dict):
            values = cast("dict[str, Any]", settings)
            place = layer.place.at(table)
            yield from ((option, Given(values[option], place.at(option))) for option in _OPTIONS if option in values)
