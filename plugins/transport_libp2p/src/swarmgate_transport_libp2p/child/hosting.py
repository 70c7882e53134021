"""Makes the libp2p host: Noise and yamux, nothing else, and none of the library's own initiatives."""

from __future__ import annotations

import errno
import socket
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import ifaddr
import multiaddr
from multiaddr.exceptions import Error as MultiaddrError
from swarmgate.api import ConfigError

#: Far more than anybody has, where the library wants a number that means: never.
_NEVER = 10**9
#: What an attempt to connect, and to agree on a protocol, may take, in seconds.
_DIAL_SECONDS, _NEGOTIATE_SECONDS = 5.0, 5.0


@asynccontextmanager
async def open_host(
    *,
    key_seed: bytes,
    listen: Sequence[str],
    announce: Callable[[Sequence[str]], Sequence[str]],
    max_connections: int = 0,
) -> AsyncGenerator[Any]:
    """Hold a host open that has the Ed25519 key *key_seed* and listens on the multiaddresses *listen*.

    *announce* makes of the addresses it listens on those that others are told.  0 *max_connections* is no limit.

    Raises:
        ConfigError: it cannot listen there; the message names the address and the remedy.

    """
    import libp2p
    from libp2p.crypto.ed25519 import create_new_key_pair
    from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key
    from libp2p.network.config import ConnectionConfig, RetryConfig
    from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
    from libp2p.security.noise.transport import Transport as NoiseTransport
    from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX
    from libp2p.stream_muxer.yamux.yamux import Yamux

    where = [usable(text) for text in listen]
    pair = create_new_key_pair(key_seed)
    many = max_connections or _NEVER

    def announced(candidates: list[multiaddr.Multiaddr]) -> list[multiaddr.Multiaddr]:
        return [multiaddr.Multiaddr(text) for text in announce([str(each) for each in candidates])]

    new_host: Any = libp2p.new_host  # its types ask for more than it does
    host: Any = new_host(
        key_pair=pair,
        # never the default: it takes plaintext and secio, by which anybody can be anybody
        sec_opt={NOISE: NoiseTransport(pair, noise_privkey=create_noise_key().private_key)},
        muxer_opt={YAMUX: Yamux},
        connection_config=ConnectionConfig(
            min_connections=0,
            low_watermark=0,
            high_watermark=many,
            max_connections=many,
            auto_connect_interval=_NEVER,
            dial_timeout=_DIAL_SECONDS,
            outbound_stream_protocol_negotiation_timeout=_NEGOTIATE_SECONDS,
            inbound_stream_protocol_negotiation_timeout=_NEGOTIATE_SECONDS,
        ),
        addrs_factory=announced,
        disable_identify_address_discovery=True,
    )
    network = host.get_network()
    network.auto_connector.maybe_connect = _initiate_nothing
    network.retry_config = RetryConfig(max_retries=0)  # who dials again, and when, is ours to say
    async with host.run(where):
        try:
            yield host
        finally:
            await host.close()  # leaving `run` alone leaves sockets open


async def _initiate_nothing() -> None:
    """Leave it to us whom to dial: the library would dial everybody it has heard of, one after another."""


def usable(text: str) -> multiaddr.Multiaddr:
    """Return *text* as a multiaddress that can be listened on.

    Raises:
        ConfigError: it is none, or something else listens there.

    """
    try:
        where = multiaddr.Multiaddr(text)
        host = str(where.value_for_protocol("ip6" if text.startswith("/ip6") else "ip4"))
        port = int(str(where.value_for_protocol("tcp")))
    except (MultiaddrError, ValueError, LookupError):
        raise ConfigError(f"cannot listen on {text!r}: expected a multiaddress such as /ip4/0.0.0.0/tcp/4001") from None
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # libp2p sets SO_REUSEPORT, so that two hosts may share a port without a word: a plain socket is refused
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            reason = "something else listens there" if taken else (error.strerror or str(error)).lower()
            raise ConfigError(f"cannot listen on {text}: {reason}; choose another with listen_maddrs") from None
    return where


def own_addresses() -> list[str]:
    """Return the IP addresses of this machine's interfaces, IPv4 first."""
    ips = [ip for adapter in ifaddr.get_adapters() for ip in adapter.ips]
    fours = [str(ip.ip) for ip in ips if ip.is_IPv4]
    return fours + [str(ip.ip[0]) for ip in ips if not ip.is_IPv4]
