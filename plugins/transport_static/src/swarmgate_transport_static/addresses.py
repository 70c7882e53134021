"""Reads ``host:port`` as people write it; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from swarmgate.api import ConfigError, Endpoint

SCHEME = "tcp"
#: What is said once for every address others than this machine could dial.
UNPROTECTED = "plain tcp has neither encryption nor passwords: use it only on a network you trust"
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_HIGHEST_PORT = 65535
_LONGEST_NAME = 253
_FORM = "expected host:port, such as 10.0.0.5:50052, worker.lan:50052 or [fd00::5]:50052"


def parse(text: str) -> Endpoint:
    """Read one ``host:port``; hosts are names, IPv4, or IPv6 in brackets.

    Raises:
        ConfigError: *text* is something else; the message names it and says what was expected.

    """
    entry = text.strip()
    host, colon, port = entry.rpartition(":")
    if not entry or not colon or host.count("[") != host.count("]") or entry.endswith("]"):
        raise ConfigError(f"{entry!r} has no port: {_FORM}")
    return Endpoint(_host(host, entry), _port(port, entry))


def read(entries: Iterable[str]) -> tuple[tuple[Endpoint, ...], tuple[ConfigError, ...]]:
    """Read many entries, each maybe several divided by commas; bad ones do not spoil the rest.

    Empty entries, as after a last comma, are skipped.  The second of two equal ones is a fault.
    """
    good: dict[Endpoint, str] = {}
    faults: list[ConfigError] = []
    for entry in (piece.strip() for text in entries for piece in text.split(",")):
        if not entry:
            continue
        try:
            endpoint = parse(entry)
        except ConfigError as fault:
            faults.append(fault)
            continue
        if endpoint in good:
            faults.append(ConfigError(f"{entry!r} is listed twice, first as {good[endpoint]!r}: remove one"))
        else:
            good[endpoint] = entry
    return tuple(good), tuple(faults)


def to_uri(endpoint: Endpoint) -> str:
    """Return the address by which the ``tcp`` transport reaches *endpoint*."""
    return f"{SCHEME}://{endpoint}"


def from_uri(address: str) -> Endpoint:
    """Return where a ``tcp://`` address leads.

    Raises:
        ConfigError: it is not one.

    """
    scheme, separator, rest = address.partition("://")
    if not separator or scheme != SCHEME:
        raise ConfigError(f"{address!r} is not an address of this transport: expected {SCHEME}://host:port")
    return parse(rest)


def is_loopback(host: str) -> bool:
    """Return whether *host* plainly is this machine, reachable by nobody else."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = _ip(host)
    return address is not None and address.is_loopback


def is_wildcard(host: str) -> bool:
    """Return whether *host* means every interface: one may listen there, and never dial it."""
    address = _ip(host)
    return address is not None and address.is_unspecified


def _host(host: str, entry: str) -> str:
    if host.startswith("[") and host.endswith("]"):
        try:
            return str(IPv6Address(host[1:-1]))
        except AddressValueError:
            raise ConfigError(f"{entry!r}: {host[1:-1]!r} is no IPv6 address: {_FORM}") from None
    if ":" in host:
        if "//" in host:
            raise ConfigError(f"{entry!r} is a URL: leave out what stands before the host; {_FORM}")
        raise ConfigError(f"{entry!r}: an IPv6 address stands in brackets: {_FORM}")
    name = host.lower().removesuffix(".")
    if _is_number(name):
        try:
            return str(IPv4Address(name))
        except AddressValueError:
            raise ConfigError(f"{entry!r}: {host!r} is no IPv4 address: {_FORM}") from None
    if len(name) > _LONGEST_NAME or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise ConfigError(f"{entry!r}: {host!r} is no host name: {_FORM}")
    return name


def _port(port: str, entry: str) -> int:
    if not (port.isascii() and port.isdigit()):
        raise ConfigError(f"{entry!r}: the port {port!r} is not a number: {_FORM}")
    # Python refuses to read absurdly long numbers, and not with one of our errors
    number = int(port) if len(port) <= len(str(_HIGHEST_PORT)) else _HIGHEST_PORT + 1
    if number == 0:
        raise ConfigError(f"{entry!r}: nothing can be dialled at port 0: give the port the server listens on")
    if number > _HIGHEST_PORT:
        raise ConfigError(f"{entry!r}: the port is {port}, and the highest is {_HIGHEST_PORT}")
    return number


def _is_number(name: str) -> bool:
    """Return whether *name* can only be meant as IPv4: no top level domain is a number."""
    return name.rpartition(".")[2].isdigit()


def _ip(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return IPv6Address(host) if ":" in host else IPv4Address(host)
    except AddressValueError:
        return None
