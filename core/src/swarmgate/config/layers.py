"""Where configuration comes from: flags, environment and files, the nearest first."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swarmgate.config.decode import Given
from swarmgate.config.faults import Fault, Place
from swarmgate.config.origins import KeyPath, locate
from swarmgate.errors import ConfigError

FILE = "gateway.toml"
PREFIX = "GATEWAY_"
_BESIDE_FILES = 1000  # the rank of what is in no file: after all files
_AT = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


@dataclass(frozen=True, slots=True)
class Layer:
    """One configuration file: what it says, and on which lines."""

    place: Place
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that was said, from the nearest to the farthest: *flags*, *environ*, *files*.

    *flags* are keyed by the name of a setting or slot, or ``model``; those not given are absent.
    *faults* are of files that cannot be read at all.
    """

    flags: Mapping[str, Any] = field(default_factory=dict[str, Any])
    environ: Mapping[str, str] = field(default_factory=dict[str, str])
    files: tuple[Layer, ...] = ()
    faults: tuple[Fault, ...] = ()

    def named(self, name: str, *, variable: str = "") -> Given | None:
        """Return what the flag ``--name`` or, failing that, the variable ``GATEWAY_NAME`` (or *variable*) says."""
        if name in self.flags:
            return self.flagged(name, f"--{name.replace('_', '-')}")
        return self.variable(variable or f"{PREFIX}{name.upper()}")

    def flagged(self, name: str, flag: str) -> Given:
        """Return what *name*, which was given as *flag*, says."""
        return Given(self.flags[name], Place(flag, _BESIDE_FILES))

    def variable(self, name: str) -> Given | None:
        """Return what the environment variable *name* says; an empty one says nothing."""
        value = self.environ.get(name)
        return Given(value, Place(name, _BESIDE_FILES)) if value else None


def parse(text: str, file: str, *, rank: int = 0, folder: Path | None = None) -> Layer | Fault:
    """Read the *text* of *file*, or say what is wrong with it."""
    try:
        data = tomllib.loads(text)
        lines: dict[KeyPath, int] = locate(text)
    except RecursionError:
        return Fault(file, None, "values are nested too deeply", rank)
    except ValueError as error:  # TOMLDecodeError, and what int() says of numbers beyond all bounds
        at = _AT.search(str(error))
        end = text.rstrip().count("\n") + 1
        line = None if at is None else int(at[1]) if at[1] else end
        what = _AT.sub("", str(error))
        return Fault(file, line, f"this is not TOML: {what[:1].lower()}{what[1:]}", rank)
    return Layer(Place(file, rank, lines, folder=folder), data)


def search_path(environ: Mapping[str, str], *, home: Path | None = None) -> tuple[Path, Path]:
    """Return the files that are read when none is named: the folder's own, then the user's."""
    if base := environ.get("XDG_CONFIG_HOME"):
        return Path(FILE), Path(base) / "swarmgate" / FILE
    from platformdirs import user_config_path

    user = user_config_path("swarmgate", appauthor=False) if home is None else home / ".config" / "swarmgate"
    return Path(FILE), user / FILE


def gather(flags: Mapping[str, Any], environ: Mapping[str, str], *, config: str | None = None) -> Sources:
    """Read the sources: the file *config*, or else those of :func:`search_path` that exist."""
    wanted: Iterable[Path] = (Path(config),) if config is not None else search_path(environ)
    files: list[Layer] = []
    faults: list[Fault] = []
    for rank, path in enumerate(wanted):
        try:
            text = read_text(path)
        except FileNotFoundError:
            if config is not None:
                faults.append(Fault(str(path), None, "there is no such file; `gateway config init` writes one", rank))
            continue
        except ConfigError as error:
            faults.append(Fault(str(path), None, str(error), rank))
            continue
        match parse(text, str(path), rank=rank, folder=path.parent):
            case Layer() as layer:
                files.append(layer)
            case Fault() as fault:
                faults.append(fault)
    return Sources(flags, environ, tuple(files), tuple(faults))


def read_text(path: Path) -> str:
    """Read a file the operator named.

    Raises:
        ConfigError: it cannot be read; the message does not name it.
        FileNotFoundError: there is none.

    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"line {line} is not UTF-8; save the file as UTF-8") from None
    except IsADirectoryError:
        raise ConfigError("this is a folder, not a file") from None
    except PermissionError:
        raise ConfigError("this user may not read it; check its permissions") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise ConfigError(f"it cannot be read: {getattr(error, 'strerror', None) or error}") from None


def read_keys(file: str) -> tuple[str, ...]:
    """Read API keys, one to a line; empty lines and lines that begin with # do not count.

    Raises:
        ConfigError: the file is missing, cannot be read or holds no key; the message does not name it.

    """
    try:
        lines = (line.strip() for line in read_text(Path(file)).splitlines())
    except FileNotFoundError:
        raise ConfigError("there is no such file") from None
    keys = tuple(line for line in lines if line and not line.startswith("#"))
    if not keys:
        raise ConfigError("there is no key in it; write one to a line")
    return keys


#: Reads the keys in a file, as :func:`read_keys` does.
KeyReader = Callable[[str], tuple[str, ...]]
