"""What can be set for the three parts; the host is one for all of them."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta
from swarmgate.api import Options

from swarmgate_transport_libp2p.messages import LogLevel

#: Levels by the names that LocalAI and zap use, too.
Level = Literal["debug", "info", "warn", "warning", "error", "fatal", "panic"]
#: The environment's variables, LocalAI's names for the same.
HOST_ENVIRON = {
    "LOCALAI_P2P_LISTEN_MADDRS": "listen_maddrs",
    "LOCALAI_P2P_DHT_ANNOUNCE_MADDRS": "announce_maddrs",
    "LOCALAI_P2P_BOOTSTRAP_PEERS_MADDRS": "bootstrap_peers",
    "LOCALAI_P2P_ENABLE_LIMITS": "limits",
    "LOCALAI_P2P_LOGLEVEL": "log_level",
    "LOCALAI_P2P_LIB_LOGLEVEL": "lib_log_level",
}
_LEVELS: dict[Level, LogLevel] = {"warn": "warning", "fatal": "critical", "panic": "critical"}


class HostOptions(Options, frozen=True):
    """What can be set for the libp2p host, which the transport, the ledger and the discovery share.

    The first of them that is opened brings the host, and its settings count; but those of bootstrap_peers of all.
    """

    #: Where to listen, as multiaddresses, such as /ip4/0.0.0.0/tcp/4001; unset, at a free port of all addresses, IPv6
    #: among them, which stays the same from then on.
    listen_maddrs: list[str] = []
    #: The multiaddresses that others are told; unset, this machine's own. Needed behind a NAT with a forwarded port.
    announce_maddrs: list[str] = []
    #: Members to begin with, as multiaddresses that end with /p2p/ and the peer's id.
    bootstrap_peers: list[str] = []
    #: Pass bytes on between members that cannot dial each other; for a node that all can dial.
    relay: bool = False
    #: Try to come from a relayed way to a direct one by dialling at the same moment as the other side (DCUtR).
    hole_punching: bool = True
    #: Whether there are at most max_connections.
    limits: bool = False
    #: The most connections to other nodes, if limits is set.
    max_connections: Annotated[int, Meta(ge=4)] = 256
    #: From which level our own part is logged.
    log_level: Level = "info"
    #: From which level the libp2p library is logged; it takes much that is in order for an error.
    lib_log_level: Level = "fatal"

    @property
    def most_connections(self) -> int:
        """Return the most connections there may be, 0 if there is no limit."""
        return self.max_connections if self.limits else 0


class P2pOptions(HostOptions, frozen=True):
    """What can be set for the transport."""

    #: How long a node may take to be reached, in seconds.
    timeout_seconds: Annotated[float, Meta(gt=0)] = 20.0


class GossipOptions(HostOptions, frozen=True):
    """What can be set for the ledger."""

    #: How long between comparing books with another node, in seconds; it heals what was lost on the way.
    compare_seconds: Annotated[float, Meta(gt=0)] = 10.0


class DhtOptions(HostOptions, frozen=True):
    """What can be set for the discovery."""

    #: Do without the DHT: only bootstrap_peers, nodes met before and what other discoveries find are connected.
    disable_dht: bool = False


def severity(level: Level) -> LogLevel:
    """Return our name of *level*."""
    return _LEVELS.get(level, level)  # pyright: ignore[reportReturnType, reportArgumentType]  # the rest are the same
