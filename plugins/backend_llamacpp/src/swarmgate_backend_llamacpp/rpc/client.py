"""The borrower's side: learns what a worker lends, and borrows it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.metadata import version

import anyio
from anyio.abc import SocketStream
from swarmgate.api import Endpoint, Starting, Unavailable, Unreachable, WireError, Word, background, encode_frame

from swarmgate_backend_llamacpp.rpc.hello import OURS, Interview, RpcVersion
from swarmgate_backend_llamacpp.rpc.lease import (
    BORROWER,
    PING_SECONDS,
    SILENCE_SECONDS,
    Ask,
    Device,
    Facts,
    Granted,
    Ping,
    Refused,
    lenders_words,
)
from swarmgate_backend_llamacpp.rpc.reasons import reason

_CHUNK = 1 << 16
_RELEASE = version("swarmgate-backend-llamacpp")
_BROKEN = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, OSError)


class WorkerFacts(Word, frozen=True):
    """What a worker lends.

    *keeps_leases* is False for llama.cpp's own rpc-server, which knows neither its devices' names nor
    who uses it.  *waiting* says why it cannot lend just now; *leased_by* is empty if nobody has it.  *node* and
    *instance* say who it is, by whichever address it is reached; llama.cpp's own does not know.
    """

    endpoint: Endpoint
    devices: tuple[Device, ...]
    rpc_version: str
    cores: int = 0
    version: str = ""
    leased_by: str = ""
    waiting: str = ""
    keeps_leases: bool = True
    node: str = ""
    instance: str = ""

    @property
    def memory_bytes(self) -> int:
        """Return the memory that is free, over all devices."""
        return sum(device.memory_free for device in self.devices)

    @property
    def memory_total_bytes(self) -> int:
        """Return the memory that is lent, free or not, over all devices."""
        return sum(device.memory_total for device in self.devices)

    def labels(self) -> dict[str, str]:
        """Return the facts as the labels of an offer."""
        who = {"node": self.node, "instance": self.instance}
        return {name: value for name, value in who.items() if value} | {
            "memory_bytes": str(self.memory_bytes),
            "memory_total_bytes": str(self.memory_total_bytes),
            "devices": ", ".join(device.name for device in self.devices),
            "rpc_version": self.rpc_version,
            "cores": str(self.cores),
            "version": self.version,
            "leased_by": self.leased_by,
            "keeps_leases": "true" if self.keeps_leases else "false",
        }


class Lease:
    """A worker that is ours until this ends, or until it is lost."""

    def __init__(self, facts: WorkerFacts) -> None:
        self.facts = facts
        self._lost = anyio.Event()
        self._reason = ""

    def __repr__(self) -> str:
        return f"<Lease of {self.facts.endpoint}{f', lost: {self._reason}' if self.lost else ''}>"

    @property
    def lost(self) -> bool:
        """Return whether the worker is gone or took the lease back."""
        return self._lost.is_set()

    async def wait_lost(self) -> str:
        """Wait until the worker is gone, and return why; of llama.cpp's own rpc-server one never hears."""
        await self._lost.wait()
        return self._reason

    def lose(self, why: str) -> None:
        """Note that the worker is gone."""
        self._reason = why
        self._lost.set()


async def probe(endpoint: Endpoint, *, timeout_seconds: float = 5.0, holder: str = "") -> WorkerFacts:
    """Return what the worker at *endpoint* lends, be it one of ours or llama.cpp's own rpc-server.

    Raises:
        Unreachable: there is none, it stays silent, or it speaks another version of the protocol;
            the message names the address and says what was found.

    """
    async with patience(endpoint, timeout_seconds):
        return await _probe(endpoint, holder)


@asynccontextmanager
async def lease(
    endpoint: Endpoint,
    holder: str,
    *,
    timeout_seconds: float = 5.0,
    ping_seconds: float = PING_SECONDS,
    silence_seconds: float = SILENCE_SECONDS,
) -> AsyncGenerator[Lease]:
    """Hold the worker at *endpoint* for *holder*; leaving gives it back.

    llama.cpp's own rpc-server keeps no leases: such a one is yielded as it is, and never lost.

    Raises:
        Unreachable: as for :func:`probe`.
        Unavailable: somebody else has it, whom the message names.
        Starting: its server is being restarted.

    """
    async with patience(endpoint, timeout_seconds):
        facts = await _probe(endpoint, holder)
    if not facts.keeps_leases:
        yield Lease(facts)
        return
    async with patience(endpoint, timeout_seconds):
        control = await Control.open(endpoint)
    async with control.stream, background() as tasks:
        async with patience(endpoint, timeout_seconds):
            granted = await control.borrow(holder)
        held = Lease(granted)
        tasks.start_soon(control.keep, held, ping_seconds, silence_seconds)
        yield held


class Control:
    """A control connection to a lender of ours.

    Its methods raise what the stream raises, and WireError; :func:`patience` makes sense of that.
    """

    def __init__(self, endpoint: Endpoint, stream: SocketStream) -> None:
        self.stream = stream
        self._endpoint = endpoint
        self._reader = lenders_words()
        self._greeted = False
        self._waiting: list[Facts | Granted | Refused | object] = []

    @classmethod
    async def open(cls, endpoint: Endpoint) -> Control:
        """Connect; the other side has said nothing yet."""
        return cls(endpoint, await anyio.connect_tcp(endpoint.host, endpoint.port))

    async def ask(self, ask: Ask) -> object:
        """Return the answer to *ask*; EndOfStream if the other side leaves before it has said anything."""
        await self.stream.send((b"" if self._greeted else BORROWER) + encode_frame(ask))
        self._greeted = True
        return await self.hear()

    async def facts(self, holder: str) -> WorkerFacts:
        """Return what is lent now."""
        said = await self.ask(Ask("probe", holder, _RELEASE))
        if not isinstance(said, Facts):
            raise WireError(f"expected Facts, found {type(said).__name__}")
        return _known(self._endpoint, said)

    async def hear(self) -> object:
        """Return what the other side says next."""
        while not self._waiting:
            self._waiting.extend(self._reader.feed(await self.stream.receive(_CHUNK)))
        return self._waiting.pop(0)

    async def borrow(self, holder: str) -> WorkerFacts:
        """Return what is lent, to *holder* from now on."""
        match await self.ask(Ask("lease", holder, _RELEASE)):
            case Granted(facts=facts):
                return _known(self._endpoint, facts)
            case Refused(holder=other, waiting=waiting):
                if other:
                    raise Unavailable(f"the worker at {self._endpoint} is lent to {other!r}")
                raise Starting(f"the worker at {self._endpoint} cannot lend now: {waiting}")
            case other:
                raise WireError(f"expected Granted or Refused, found {type(other).__name__}")

    async def keep(self, held: Lease, ping_seconds: float, silence_seconds: float) -> None:
        """Ping, and notice when nothing comes back."""

        async def ping() -> None:
            while True:
                await anyio.sleep(ping_seconds)
                await self.stream.send(encode_frame(Ping()))

        try:
            async with background() as tasks:
                tasks.start_soon(ping)
                while True:
                    with anyio.fail_after(silence_seconds):
                        await self.hear()
        except TimeoutError:
            held.lose(f"the worker at {self._endpoint} has been silent for {silence_seconds:g} s")
        except (*_BROKEN, WireError):
            held.lose(f"the worker at {self._endpoint} closed the connection")


async def _probe(endpoint: Endpoint, holder: str) -> WorkerFacts:
    control = await Control.open(endpoint)
    try:
        async with control.stream:
            return await control.facts(holder)
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return await interview(endpoint)  # what llama.cpp's own server does with everything but HELLO


async def interview(endpoint: Endpoint) -> WorkerFacts:
    """Return what llama.cpp's own rpc-server at *endpoint* lends; raises what :class:`Control` does.

    It answers one client at a time: this waits for as long as another is connected.
    """
    asking = Interview()
    async with await anyio.connect_tcp(endpoint.host, endpoint.port) as stream:
        await stream.send(asking.begin())
        while not asking.done:
            if request := asking.feed(await stream.receive(_CHUNK)):
                await stream.send(request)
    devices = tuple(
        Device(name=f"RPC{number}", memory_free=memory.free, memory_total=memory.total)
        for number, memory in enumerate(asking.memory)
    )
    _check(endpoint, asking.version)
    return WorkerFacts(endpoint=endpoint, devices=devices, rpc_version=str(asking.version), keeps_leases=False)


def _known(endpoint: Endpoint, facts: Facts) -> WorkerFacts:
    if not facts.waiting:
        _check(endpoint, _version(facts.rpc_version))
    return WorkerFacts(
        endpoint=endpoint,
        devices=facts.devices,
        rpc_version=facts.rpc_version,
        cores=facts.cores,
        version=facts.version,
        leased_by=facts.leased_by,
        waiting=facts.waiting,
        node=facts.node,
        instance=facts.instance,
    )


def _version(text: str) -> RpcVersion:
    numbers = text.split(".")
    if len(numbers) != len(OURS) or not all(number.isascii() and number.isdigit() for number in numbers):
        raise WireError(f"expected a version such as {OURS}, found {text!r}")
    return RpcVersion(*(int(number[:9]) for number in numbers))


def _check(endpoint: Endpoint, theirs: RpcVersion | None) -> None:
    if theirs is None or not OURS.understands(theirs):
        raise Unreachable(
            f"{endpoint} speaks version {theirs} of llama.cpp's RPC protocol, and this machine {OURS}:"
            " run the same release on both"
        )


@asynccontextmanager
async def patience(endpoint: Endpoint, seconds: float) -> AsyncGenerator[None]:
    """Bound what is tried inside in time, and say what went wrong with *endpoint*."""
    try:
        with anyio.fail_after(seconds):
            yield
    except TimeoutError:
        raise Unreachable(
            f"{endpoint} did not answer within {seconds:g} s: the machine is off, a firewall is in the way, or a"
            " llama.cpp RPC server is busy with another client"
        ) from None
    except WireError as error:
        raise Unreachable(f"{endpoint} is no llama.cpp worker: {error}") from None
    except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
        raise Unreachable(
            f"{endpoint} closes the connection at once: it is no llama.cpp worker, one of another version than {OURS},"
            " or one that is in use"
        ) from None
    except (OSError, UnicodeError) as error:
        raise Unreachable(f"nothing answers at {endpoint}: {reason(error)}") from None
