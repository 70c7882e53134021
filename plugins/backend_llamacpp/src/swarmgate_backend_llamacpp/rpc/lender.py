"""Lends this machine: llama.cpp's RPC server in a child, and the listener before it."""

from __future__ import annotations

import secrets
import socket
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anyio
import structlog
from swarmgate.api import Child, Endpoint, EngineError, Frame, Loan, Starting, background

from swarmgate_backend_llamacpp.engine.processors import default_threads
from swarmgate_backend_llamacpp.options import LlamaCppRpcOptions
from swarmgate_backend_llamacpp.rpc.lease import SILENCE_SECONDS, Device, Facts
from swarmgate_backend_llamacpp.rpc.listener import Listener
from swarmgate_backend_llamacpp.rpc.messages import FromChild, Report, Reported, Serve, ServeFailed, Serving
from swarmgate_backend_llamacpp.rpc.reasons import reason

_MEBIBYTE = 1 << 20
_LOOPBACK = "127.0.0.1"
_BACKLOG = 128
#: A server that dies this often before it ever answered will not answer after dying again.
_MOST_DEATHS = 4
#: How long the child may take to say how much memory there is; else what it said last holds.
_REPORT_SECONDS = 0.5
_RELEASE = version("swarmgate-backend-llamacpp")


class RpcServer:
    """llama.cpp's RPC server: where it listens now, and what it lends."""

    def __init__(self, serve: Serve, *, node: str = "") -> None:
        self._serve = serve
        self._node, self._instance = node, secrets.token_hex(8)
        self._serving: Serving | None = None
        self._known: Serving | None = None
        self._reported = anyio.Event()
        self._settled = anyio.Event()
        self._deaths = 0
        self._failed: str | None = None
        self._waiting = "the RPC server is starting"
        self._log = structlog.get_logger("swarmgate.llamacpp")
        self.child: Child[Any] = Child(
            "llama.cpp's RPC server", [sys.executable, "-m", "swarmgate_backend_llamacpp.rpc"], FromChild, self
        )

    def __repr__(self) -> str:
        return f"<RpcServer {self.endpoint or self._waiting}>"

    @property
    def endpoint(self) -> Endpoint | None:
        """Return where it listens on loopback, None while there is none."""
        return Endpoint(_LOOPBACK, self._serving.port) if self._serving is not None else None

    async def settle(self) -> Facts:
        """Wait for the first server that answers, and return what it lends.

        Raises:
            EngineError: there will be none; the message says why.

        """
        await self._settled.wait()
        if self._failed is not None:
            raise EngineError(self._failed)
        return await self.facts("")

    async def facts(self, leased_by: str) -> Facts:
        """Return what is lent now."""
        if self._serving is not None:
            await self._ask()
        known = self._serving or self._known
        return Facts(
            devices=known.devices if known else (),
            rpc_version=known.rpc_version if known else "",
            cores=known.cores if known else 0,
            version=_RELEASE,
            leased_by=leased_by,
            waiting="" if self._serving is not None else self._waiting,
            node=self._node,
            instance=self._instance,
        )

    async def _ask(self) -> None:
        news = self._reported
        with suppress(Starting):
            await self.child.tell(Report())
            with anyio.move_on_after(_REPORT_SECONDS):
                await news.wait()

    def started(self) -> Sequence[Frame]:
        """Tell a fresh server what to serve."""
        return [self._serve]

    def received(self, frame: Any) -> None:
        """Take in what the server's process says."""
        match frame:
            case Serving():
                self._serving, self._known, self._deaths = frame, frame, 0
                self._log.info("lender.serving", address=str(self.endpoint), pid=self.child.pid)
                self._settled.set()
            case Reported(devices=devices):
                self._report(devices)
            case ServeFailed(message=message):
                self._failed = message
                self._settled.set()
            case _:
                self._log.warning("lender.unknown_frame", reason=type(frame).__name__)

    def _report(self, devices: tuple[Device, ...]) -> None:
        if self._serving is not None:
            known = self._serving
            self._serving = self._known = Serving(known.port, devices, known.rpc_version, known.cores)
        self._reported.set()
        self._reported = anyio.Event()

    def died(self, reason: str) -> None:
        """Learn that the server is gone; a new one follows, unless none ever came up."""
        self._serving, self._waiting = None, f"the RPC server {reason}, and is being restarted"
        self._deaths += 1
        if self._deaths >= _MOST_DEATHS and not self._settled.is_set():
            words = " / ".join(list(self.child.last_words)[-3:])
            self._failed = f"llama.cpp's RPC server {reason}, {self._deaths} times before it answered: {words}"
            self._settled.set()


class RpcLender:
    """Lends this machine, which is the one of *node*, to llama.cpp elsewhere."""

    def __init__(
        self,
        options: LlamaCppRpcOptions,
        state_dir: Path,
        *,
        node: str = "",
        gives_way: bool = False,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        """*gives_way* has it take a free port where its own is taken: for who is found without knowing the port."""
        self._options, self._state_dir, self._silence = options, state_dir, silence_seconds
        self._node, self._gives_way = node, gives_way
        self.server: RpcServer | None = None

    def __repr__(self) -> str:
        return f"<RpcLender on {self._options.listen}>"

    @asynccontextmanager
    async def lend(self) -> AsyncGenerator[Loan]:
        """Listen, with a server behind; return when it answers.

        Raises:
            EngineError: the address cannot be listened on, or the server does not come up.

        """
        host, _, port = self._options.listen.rpartition(":")
        host = host.strip("[]")
        async with AsyncExitStack() as stack:
            sockets = await self._listen(host, int(port))
            for listening in sockets:
                stack.enter_context(listening)
            serve = Serve(
                devices=tuple(filter(None, map(str.strip, self._options.device.replace("/", ",").split(",")))),
                threads=self._options.threads or default_threads(),
                memory_limit=(self._options.memory_mb or 0) * _MEBIBYTE,
                cache_dir=self._cache(),
            )
            server = self.server = RpcServer(serve, node=self._node)
            async with server.child, background() as tasks:
                facts = await server.settle()
                listener = Listener(server, silence_seconds=self._silence)
                tasks.start_soon(listener.serve, sockets)
                endpoint = Endpoint(host, int(sockets[0].getsockname()[1]))
                yield Loan(endpoint=endpoint, labels=labels(facts))

    async def _listen(self, host: str, port: int) -> list[socket.socket]:
        try:
            return await _listen(self._options.listen, host, port)
        except EngineError as error:
            if not self._gives_way:
                raise
            structlog.get_logger("swarmgate.llamacpp").info("lender.port_taken", reason=str(error))
        return await _listen(f"{host}:0", host, 0)

    def _cache(self) -> str | None:
        if not self._options.tensor_cache:
            return None
        return str(self._options.cache_dir or self._state_dir / "tensors")


def labels(facts: Facts) -> dict[str, str]:
    """Return *facts* as the labels of an offer; memory is in bytes, over all devices."""
    who = {"node": facts.node, "instance": facts.instance}
    return {name: value for name, value in who.items() if value} | {
        "memory_bytes": str(sum(device.memory_free for device in facts.devices)),
        "memory_total_bytes": str(sum(device.memory_total for device in facts.devices)),
        "devices": ", ".join(device.name for device in facts.devices),
        "rpc_version": facts.rpc_version,
        "cores": str(facts.cores),
        "version": facts.version,
    }


async def _listen(address: str, host: str, port: int) -> list[socket.socket]:
    """Return sockets that listen on *port*, one for each address that *host* has."""
    opened: list[socket.socket] = []
    try:
        found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, where in dict.fromkeys((family, where[0]) for family, _, _, _, where in found):
            # where any port will do, all addresses take the one that the first was given
            chosen = port or (opened[0].getsockname()[1] if opened else 0)
            opened.append(socket.create_server((str(where), chosen), family=family, backlog=_BACKLOG))
            opened[-1].setblocking(False)
    except (OSError, UnicodeError) as error:
        for listening in opened:
            listening.close()
        raise EngineError(
            f"cannot listen on {address}: {reason(error)}; choose another address with listen (port 0 takes a free one)"
        ) from None
    return opened
