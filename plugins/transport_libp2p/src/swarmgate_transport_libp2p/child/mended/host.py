"""The mended host: what the rest of the child asks for, and py-libp2p's own host in everything else.

Whatever a handler raises ends its stream and nothing more.  Who has not been admitted gets no answer but on the
protocols of the foyer, and learns no others' names.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import asynccontextmanager

import structlog
import trio
from libp2p.abc import INetStream
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
from libp2p.host.basic_host import BasicHost
from libp2p.peer.id import ID
from libp2p.peer.peerstore import PeerStore, PeerStoreError
from libp2p.protocol_muxer.exceptions import MultiselectError
from libp2p.protocol_muxer.multiselect import Multiselect
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator
from libp2p.tools.anyio_service import background_trio_service
from multiaddr import Multiaddr

from swarmgate_transport_libp2p.child.mended.announcing import announced
from swarmgate_transport_libp2p.child.mended.interfaces import own_addresses
from swarmgate_transport_libp2p.child.mended.limits import Limits
from swarmgate_transport_libp2p.child.mended.muxer import Muxer
from swarmgate_transport_libp2p.child.mended.noise import Noise
from swarmgate_transport_libp2p.child.mended.swarm import MendedSwarm
from swarmgate_transport_libp2p.child.mended.version import require_fitting

log = structlog.get_logger("swarmgate.libp2p")

Announce = Callable[[list[str]], Sequence[str]]

#: Addresses of a peer that are kept, and for how many seconds.
_KNOWN = 32
_REMEMBERED = 24 * 3600
#: For how many seconds it is taken for granted where we are: the DHT asks with each message.
_FRESH = 5.0
#: Seconds for closing every connection and listener.
_PARTING = 3.0


def everybody(peer: ID) -> bool:
    """Admit every peer."""
    return True


class MendedHost(BasicHost):
    """A host whose handlers cannot end it, and which answers only whom it has admitted.

    *admits* says whether a peer may use more than the protocols in *foyer*; it is asked for each stream.
    """

    def __init__(
        self,
        swarm: MendedSwarm,
        *,
        announce: Callable[[list[Multiaddr]], list[Multiaddr]],
        admits: Callable[[ID], bool],
        foyer: Collection[str],
        observe: bool,
        limits: Limits,
    ) -> None:
        self._here: tuple[list[str], float, list[Multiaddr]] = ([], -math.inf, [])
        super().__init__(
            swarm,
            addrs_factory=announce,
            disable_identify_address_discovery=not observe,
            negotiate_timeout=max(1, int(limits.upgrade)),
        )
        self.swarm = swarm
        self._admits = admits
        self._foyer = frozenset(foyer)
        self._welcomes: list[Callable[[ID], None]] = []

    def get_addrs(self) -> list[Multiaddr]:
        """Return where others are told to dial us, as of a few seconds ago."""
        listening = [str(each) for each in self.get_transport_addrs()]
        known, since, here = self._here
        if known != listening or trio.current_time() - since >= _FRESH:
            here = super().get_addrs()
            self._here = listening, trio.current_time(), here
        return list(here)

    def admits(self, peer: ID) -> bool:
        """Whether *peer* may use more than the foyer."""
        return self._admits(peer)

    def at_admission(self, welcome: Callable[[ID], None]) -> None:
        """Have *welcome* called for each peer that :meth:`admit` names."""
        self._welcomes.append(welcome)

    def admit(self, peer: ID) -> None:
        """Say that *peer* has just become one whom we admit: what waited for that happens now."""
        self._schedule_identify(peer, reason="admitted")
        for welcome in self._welcomes:
            welcome(peer)

    def muxers(self, peer: ID | None = None) -> list[Muxer]:
        """Return the live connections, to *peer* or to all."""
        muxers = [connection.muxed_conn for connection in self.swarm.get_connections(peer)]
        return [muxer for muxer in muxers if isinstance(muxer, Muxer) and not muxer.is_closed]

    def round_trip(self, peer: ID) -> float | None:
        """Return the least round trip in seconds of the connections to *peer*, None before the first is measured."""
        return min((took for muxer in self.muxers(peer) if (took := muxer.round_trip) is not None), default=None)

    async def dial(self, peer: ID, addresses: Sequence[str] = ()) -> None:
        """Have a connection to *peer*: if there is none, dial *addresses* and then those known from before.

        Raises:
            SwarmException: none of them answered; the message says what each did.

        """
        try:
            known = self.peerstore.addrs(peer)
        except PeerStoreError:
            known = []
        ordered = dict.fromkeys([*addresses, *map(str, known)])
        self.peerstore.clear_addrs(peer)
        self.peerstore.add_addrs(peer, [Multiaddr(address) for address in list(ordered)[:_KNOWN]], _REMEMBERED)
        await self.swarm.dial_peer(peer)

    async def _swarm_stream_handler(self, net_stream: INetStream) -> None:
        peer = net_stream.muxed_conn.peer_id
        try:
            await self._answer(net_stream, peer)
        except MultiselectError as fault:
            log.debug("stream.refused", peer=str(peer), reason=str(fault))
            await net_stream.reset()
        except Exception as fault:  # noqa: BLE001  # a handler's fault must not end the host: anybody could send what causes it
            log.info("stream.failed", peer=str(peer), protocol=str(net_stream.get_protocol()), reason=repr(fault))
            await net_stream.reset()

    async def _answer(self, net_stream: INetStream, peer: ID) -> None:
        offered = self.multiselect
        if not self._admits(peer):
            handlers = self.multiselect.handlers.items()
            offered = Multiselect({name: handler for name, handler in handlers if name in self._foyer})
        protocol, handler = await offered.negotiate(MultiselectCommunicator(net_stream), self.negotiate_timeout)
        if protocol is None or handler is None:
            await net_stream.reset()
            return
        net_stream.set_protocol(protocol)
        await handler(net_stream)

    def _schedule_identify(self, peer_id: ID, *, reason: str) -> None:
        if self._admits(peer_id):
            super()._schedule_identify(peer_id, reason=reason)


def _announcing(announce: Sequence[str] | Announce | None) -> Callable[[list[Multiaddr]], list[Multiaddr]]:
    def factory(candidates: list[Multiaddr]) -> list[Multiaddr]:
        if announce is None:
            chosen: Sequence[str] = announced(map(str, candidates), own_addresses())
        elif callable(announce):
            chosen = announce([str(candidate) for candidate in candidates])
        else:
            chosen = announce
        return [Multiaddr(address) for address in chosen]

    return factory


@asynccontextmanager
async def open_host(
    *,
    key_seed: bytes,
    listen: Sequence[str],
    announce: Sequence[str] | Announce | None = None,
    admits: Callable[[ID], bool] = everybody,
    foyer: Collection[str] = (),
    limits: Limits | None = None,
    observe: bool = False,
    shared_port: bool = False,
) -> AsyncGenerator[MendedHost]:
    """Open a host that speaks Noise and yamux over TCP and nothing else, with the Ed25519 key made of *key_seed*.

    *listen* are multiaddresses (``/ip4/0.0.0.0/tcp/4001``); *announce* is what others are told instead, or makes it of
    what is listened on; without it they are told this machine's real addresses.  With *observe*, addresses that several
    peers see us at are among those to announce.  With *shared_port*, dials for hole punching may leave from our port.

    Raises:
        PluginError: another version of libp2p is installed.
        ConfigError: an address to listen on is taken, or of a kind unknown here.

    """
    require_fitting()
    limits = limits or Limits()
    key_pair = create_new_key_pair(key_seed)
    peer = ID.from_pubkey(key_pair.public_key)
    peerstore = PeerStore()
    peerstore.add_key_pair(peer, key_pair)
    noise = Noise(key_pair, create_noise_key_pair().private_key)
    swarm = MendedSwarm(peer, peerstore, noise, limits=limits, shared_port=shared_port)
    host = MendedHost(swarm, announce=_announcing(announce), admits=admits, foyer=foyer, observe=observe, limits=limits)
    fault: Exception | None = None
    async with background_trio_service(swarm):
        try:
            await swarm.listen(*map(Multiaddr, listen))
            yield host
        except Exception as error:  # noqa: BLE001  # raised again below, outside the nursery, which would wrap it in a group
            fault = error
        finally:
            with trio.move_on_after(_PARTING, shield=True):
                await host.close()
    if fault is not None:
        raise fault
