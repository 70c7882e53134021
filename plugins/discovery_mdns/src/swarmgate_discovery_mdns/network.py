"""The LAN, by zeroconf: services with TXT records, announced and heard."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Container, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import anyio
import ifaddr
from anyio.streams.memory import MemoryObjectSendStream
from zeroconf import DNSText as _Text  # pyright: ignore[reportPrivateImportUsage]  # listeners are given it
from zeroconf import IPVersion, RecordUpdate, RecordUpdateListener, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

#: RFC 6763, 7: the service's name is ours; it is not registered with IANA yet.
SERVICE_TYPE = "_swarmgate._tcp.local."
#: DNS-SD wants a port; where an address has none, it is that of the discard protocol, where nobody listens.
_NO_PORT = 9
_PORT = re.compile(r":(\d{1,5})(?:/|$)")
#: As many announcements may wait to be looked at; more are dropped, and come again with their next renewal.
_WAITING = 256
#: Of so many names it is remembered what they said last; strangers can make up as many as they like.
_REMEMBERED = 4096
#: How long the last word of an offer stays before its name goes, in seconds.
_LAST_WORD_SECONDS = 0.3


def interfaces_here() -> tuple[str, ...]:
    """Return an address of each interface of this machine for each family; reads them from the system."""
    return speaking(
        (adapter.index or 0, address.ip if isinstance(address.ip, str) else address.ip[0])
        for adapter in ifaddr.get_adapters()
        for address in adapter.ips
    )


def speaking(found: Iterable[tuple[int, str]], *, works: Callable[[str], bool] | None = None) -> tuple[str, ...]:
    """Return by which addresses to announce and listen, of pairs of an interface's number and an address *found*.

    All of IPv4, and of IPv6 the first of each interface that *works* already: for some seconds a fresh one does not.
    None that is link-local, as an offer cannot carry its zone; loopback only if nothing else is there.
    """
    works = works or _can_be_bound
    four: list[str] = []
    six: dict[int, str] = {}
    for index, text in found:
        address = ipaddress.ip_address(text)
        if address.is_link_local:
            continue
        if address.version == 4:  # noqa: PLR2004  # IPv4
            four.append(text)
        elif not address.is_loopback and index not in six and works(text):
            six[index] = text
    everything = (*sorted(four), *sorted(six.values()))
    beyond = tuple(text for text in everything if not ipaddress.ip_address(text).is_loopback)
    return beyond or everything


def _can_be_bound(address: str) -> bool:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as tried:
        try:
            tried.bind((address, 0))
        except OSError:
            return False
    return True


def _families(addresses: Sequence[str]) -> IPVersion:
    six = [":" in address for address in addresses]
    return IPVersion.V6Only if all(six) else IPVersion.All if any(six) else IPVersion.V4Only


class Network:
    """What is announced and heard on some interfaces; made by :meth:`opened`."""

    def __init__(self, zeroconf: AsyncZeroconf, addresses: Sequence[str]) -> None:
        self._zeroconf: Any = zeroconf  # its types say nothing of what its awaitables give
        self._addresses = list(addresses)
        self._announced: dict[str, AsyncServiceInfo] = {}
        self._sending: list[Any] = []  # asyncio's tasks

    def __repr__(self) -> str:
        return f"<Network at {', '.join(self._addresses)}>"

    @classmethod
    @asynccontextmanager
    async def opened(cls, addresses: Sequence[str]) -> AsyncGenerator[Network]:
        """Yield the network that the interfaces with *addresses* are on.

        Raises:
            OSError: they cannot be used for multicast; the message says why.

        """
        if not addresses:
            raise OSError("this machine has no network address")
        zeroconf = AsyncZeroconf(interfaces=list(addresses), ip_version=_families(addresses))
        with anyio.CancelScope(shield=True):  # closed while it opens, zeroconf leaves sockets behind
            await zeroconf.zeroconf.async_wait_for_start()
        try:
            yield cls(zeroconf, addresses)
        finally:
            with anyio.CancelScope(shield=True):
                await zeroconf.async_close()
                for _ in range(2):  # asyncio closes a socket in the turn after it was told to
                    await anyio.lowlevel.checkpoint()

    async def announce(self, name: str, txt: bytes, addresses: Sequence[str], *, last: bool) -> None:
        """Let *name* stand with *txt*, instead of what it said before; *last*: for a moment, then no more.

        *addresses* are the offer's URIs; the first port in them is the service's.  Returns when it has been sent once,
        or the name is gone; it is sent twice more in the next half second (RFC 6762, 8.3).
        """
        info = AsyncServiceInfo(
            SERVICE_TYPE,
            f"{name}.{SERVICE_TYPE}",
            port=_port(addresses),
            properties=txt,
            server=f"{name}.local.",
            parsed_addresses=self._addresses,
        )
        known = name in self._announced
        self._announced[name] = info
        if known:
            self._sending.append(await self._zeroconf.async_update_service(info))
        elif not last:
            # a name drawn by lot is nobody else's: asking around first would only take a second and a half
            self._sending.append(await self._zeroconf.async_register_service(info, cooperating_responders=True))
        if last:
            await anyio.sleep(_LAST_WORD_SECONDS)
            await cast("Awaitable[Any]", await self._zeroconf.async_unregister_service(self._announced.pop(name)))
        self._sending = [each for each in self._sending if not each.done()]

    async def heard(self) -> AsyncGenerator[bytes]:
        """Yield the TXT records of others, each when it is new or has changed."""
        send, receive = anyio.create_memory_object_stream[bytes](_WAITING)
        listener = _Listener(self._announced, send)
        zeroconf = self._zeroconf.zeroconf
        zeroconf.async_add_listener(listener, None)
        listener.catch_up(zeroconf)
        # it asks who is there, at first and from time to time; answers bring their TXT records along (RFC 6763, 12.1)
        browser = AsyncServiceBrowser(zeroconf, SERVICE_TYPE, handlers=[_ignore])
        try:
            with send, receive:
                async for txt in receive:
                    yield txt
        finally:
            zeroconf.async_remove_listener(listener)
            with anyio.CancelScope(shield=True):
                await browser.async_cancel()


class _Listener(RecordUpdateListener):
    """Takes TXT records as they come, in full order, each once as long as it does not change.

    Not from zeroconf's cache, where an old record stays beside the new one for a second, and may be the one that is
    found; but for what is there already when it begins, which nobody would send again before its time.  A goodbye is
    nothing to us: anybody could say it for another.  What ended says so under its own signature.
    """

    def __init__(self, announced: Container[str], send: MemoryObjectSendStream[bytes]) -> None:
        self._announced = announced
        self._send = send
        self._heard: dict[str, bytes] = {}

    def catch_up(self, zeroconf: Zeroconf) -> None:
        """Take what came before this listened."""
        for name in zeroconf.cache.names():
            for record in zeroconf.cache.entries_with_name(name):
                self._take(record)

    def async_update_records(self, zc: Zeroconf, now: float, records: list[RecordUpdate]) -> None:
        for update in records:
            self._take(update.new)

    def _take(self, record: object) -> None:
        if not isinstance(record, _Text) or not record.name.endswith(f".{SERVICE_TYPE}") or not record.ttl:
            return
        text = bytes(record.text)
        ours = record.name.removesuffix(f".{SERVICE_TYPE}") in self._announced
        if ours or self._heard.get(record.name) == text:
            return
        with suppress(anyio.WouldBlock, anyio.BrokenResourceError):
            self._send.send_nowait(text)
            while len(self._heard) >= _REMEMBERED:
                del self._heard[next(iter(self._heard))]
            self._heard[record.name] = text


def _ignore(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
    """Take no notice: who browses has to name somebody who does."""


def _port(addresses: Sequence[str]) -> int:
    for address in addresses:
        found = _PORT.search(address)
        if found is not None:
            return int(found[1])
    return _NO_PORT
