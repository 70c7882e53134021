"""Reads the arguments of llama.cpp's own rpc-server, for whoever knows those.  Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import NamedTuple

DEFAULT_LISTEN = "127.0.0.1:50052"
_NAMES = {
    "-H": "host", "--host": "host",
    "-p": "port", "--port": "port",
    "-m": "mem", "--mem": "mem",
    "-t": "threads", "--threads": "threads",
    "-d": "device", "--device": "device",
    "-c": "cache", "--cache": "cache",
}  # fmt: skip
_KNOWN = "-H HOST, -p PORT, -m MEGABYTES, -t THREADS, -d DEVICES and -c"
_HIGHEST_PORT = 65535
_MOST = 1 << 40


class Arguments(NamedTuple):
    """What was said; None for what was not."""

    listen: str | None = None
    memory_mb: int | None = None
    threads: int | None = None
    device: str | None = None
    tensor_cache: bool | None = None


def read(text: str) -> Arguments:
    """Read the arguments of a command line.

    Raises:
        ValueError: one is unknown, has no value or a value that cannot be; the message names it.

    """
    given = dict(_pairs(text))
    host, port = given.get("host"), _number(given, "port", "-p", most=_HIGHEST_PORT)
    default_host, _, default_port = DEFAULT_LISTEN.rpartition(":")
    listen = None
    if host is not None or port is not None:
        host = default_host if host is None else f"[{host}]" if ":" in host and "[" not in host else host
        listen = f"{host}:{default_port if port is None else port}"
    return Arguments(
        listen=listen,
        memory_mb=_number(given, "mem", "-m", zero="lends nothing; leave -m out to lend all that is free"),
        threads=_number(given, "threads", "-t", zero="computes nothing; leave -t out to use all cores but one"),
        device=given.get("device"),
        tensor_cache=True if "cache" in given else None,
    )


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    try:
        words = iter(shlex.split(text))
    except ValueError as error:
        raise ValueError(f"{text!r} cannot be read as arguments: {str(error).lower()}") from None
    for word in words:
        option, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        name = _NAMES.get(option)
        if name is None:
            raise ValueError(f"unknown argument {word!r}; known are {_KNOWN}")
        if name != "cache" and not equals:
            value = next(words, "")
        if name != "cache" and (not value or value in _NAMES):
            raise ValueError(f"argument {option!r} needs a value; known are {_KNOWN}")
        yield name, value


def _number(given: dict[str, str], name: str, option: str, *, zero: str = "", most: int = _MOST) -> int | None:
    text = given.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(_MOST)) or int(text) > most:
        raise ValueError(f"expected a whole number up to {most} after {option}, found {text!r}")
    if zero and int(text) == 0:
        raise ValueError(f"{option} 0 {zero}")
    return int(text)
