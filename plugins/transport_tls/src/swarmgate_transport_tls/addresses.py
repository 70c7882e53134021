"""Reads and writes the addresses of this transport, and ``host:port`` as people write it; pure."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address

import msgspec
from swarmgate.api import ConfigError, Endpoint, NodeId, Service, WireError, public_key_of

SCHEME = "tls"
_FORM = "expected tls://PEER@HOST:PORT/SERVICE"
_HOST_PORT = "expected host:port, such as 10.0.0.5:7479, node.lan:7479 or [fd00::5]:7479"
#: A service, and after a full stop which exposure of it.
_SERVICE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}(\.[1-9][0-9]{0,4})?")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_LONGEST, _LONGEST_NAME, _HIGHEST_PORT = 1024, 253, 65535


class Address(msgspec.Struct, frozen=True):
    """Where a member's service is: *service* as it is exposed there, such as ``gateway`` or ``llama-rpc.2``."""

    peer: NodeId
    host: str
    port: int
    service: str

    def __str__(self) -> str:
        return f"{SCHEME}://{self.peer}@{Endpoint(self.host, self.port)}/{self.service}"


def read(text: str) -> Address:
    """Return what an address of this transport says.

    Raises:
        ConfigError: it is none; the message says what was expected.

    """
    shown = f"{text[:_LONGEST]!r}"
    scheme, separator, rest = text.partition("://")
    if not separator or scheme != SCHEME or len(text) > _LONGEST:
        raise ConfigError(f"{shown} is not an address of this transport: {_FORM}")
    authority, _, service = rest.partition("/")
    peer, at, where = authority.partition("@")
    if not at:
        raise ConfigError(f"{shown} names no peer: {_FORM}")
    if not _SERVICE.fullmatch(service):
        raise ConfigError(f"{shown} names no service: {_FORM}")
    try:
        public_key_of(peer)
    except WireError as error:
        raise ConfigError(f"{shown}: {error}") from None
    endpoint = read_endpoint(where)
    if endpoint.port == 0:
        raise ConfigError(f"{shown} has no port: {_FORM}")
    return Address(NodeId(peer), endpoint.host, endpoint.port, service)


def numbered(service: Service, taken: frozenset[str]) -> str:
    """Return the name of another exposure of *service* beside those *taken*: the bare name, then ``.2`` and so on.

    Raises:
        ConfigError: such a name cannot stand in an address.

    """
    name, number = str(service), 1
    while name in taken:
        number += 1
        name = f"{service}.{number}"
    if not _SERVICE.fullmatch(name):
        raise ConfigError(f"a service called {service!r} cannot stand in an address: use a-z, 0-9, - and _")
    return name


def read_endpoint(text: str, *, port: int | None = None) -> Endpoint:
    """Read ``host:port``; hosts are names, IPv4, or IPv6 in brackets.  With *port* a host alone will do.

    Raises:
        ConfigError: it is something else; the message names it and says what was expected.

    """
    entry = text.strip()
    if port is not None and _is_bare(entry):
        bare = f"[{entry}]" if ":" in entry and not entry.startswith("[") else entry
        return Endpoint(_host(bare, entry), port)
    host, colon, digits = entry.rpartition(":")
    if not colon or not host or not (digits.isascii() and digits.isdecimal() and int(digits[:6]) <= _HIGHEST_PORT):
        raise ConfigError(f"{text[:_LONGEST]!r} has no port: {_HOST_PORT}")
    return Endpoint(_host(host, entry), int(digits))


def _is_bare(entry: str) -> bool:
    return entry.endswith("]") or (entry.count(":") != 1 and not entry.startswith("["))


def _host(host: str, entry: str) -> str:
    fault = ConfigError(f"{entry[:_LONGEST]!r}: {host[:_LONGEST]!r} is no host: {_HOST_PORT}")
    try:
        if host.startswith("[") and host.endswith("]"):
            return str(IPv6Address(host[1:-1]))
        name = host.lower().removesuffix(".")
        if name.rpartition(".")[2].isdecimal():
            return str(IPv4Address(name))
    except AddressValueError:
        raise fault from None
    if len(name) > _LONGEST_NAME or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise fault
    return name
