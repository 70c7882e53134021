"""Holds the front door open until a signal says otherwise.

The server runs in a task of its own (docs/decisions/0006), and signals are received once, here,
for the whole process.
"""

from __future__ import annotations

import gc
import os
import shlex
import signal
import socket
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version

import anyio
import structlog
import uvicorn
from litestar.types import ASGIApp

from swarmgate.announcements import Announce, Joined, Progress, Serving, Stopping, Warned
from swarmgate.assembly import Assembly, assemble
from swarmgate.background import background
from swarmgate.config.blueprint import DEFAULT, Blueprint
from swarmgate.config.settings import Settings
from swarmgate.entrance import LISTEN, Entrance, entrance, follow_drain, offered, offers_itself
from swarmgate.http.app import application
from swarmgate.http.door import Door, Limits
from swarmgate.http.kept import Responses
from swarmgate.http.records import Records
from swarmgate.http.writes import JoiningProtocol
from swarmgate.joining import mind_token
from swarmgate.journal import Journal
from swarmgate.listening import leads_to, listen, only_here, url_of
from swarmgate.memory import whole_memory
from swarmgate.metrics import Metrics
from swarmgate.nouns import Health
from swarmgate.parts import BACKEND
from swarmgate.roster import Swarm
from swarmgate.shelf import Shelf
from swarmgate.swarm.facts import facts_of
from swarmgate.swarm.revoked import keep_revocation
from swarmgate.swarm.token import Invite, Token

_log = structlog.get_logger("swarmgate.serve")
_RELEASE = version("swarmgate-core")
_MEGABYTE = 1_000_000
#: Longer than clients keep idle connections, so that none is used again just as it is closed.
_KEEP_ALIVE_SECONDS = 75
#: What interrupted answers get to tell their clients so.
_LAST_WORDS_SECONDS = 2.0
#: How often the date in the heads of answers is set, in seconds.
_DATE_SECONDS = 1.0


async def run(blueprint: Blueprint, *, announce: Announce, journal: Journal | None = None) -> None:
    """Assemble the house and serve it until SIGINT or SIGTERM; a second one stops at once.

    *announce* hears how the models come along, and what is served when they are ready; *journal* has what is logged,
    for whoever asks.

    Raises:
        ConfigError: the address cannot be listened on.
        PluginError: a part could not be opened, or failed for good.
        EngineError: no backend at all can load its model.

    """
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as wishes:
        await run_until(wishes, blueprint, announce=announce, journal=journal)


async def run_until(
    wishes: AsyncIterator[object], blueprint: Blueprint, *, announce: Announce, journal: Journal | None = None
) -> None:
    """Do the same until *wishes* yields, once for an orderly stop and twice for a quick one."""
    settings = blueprint.settings
    keys = settings.api_keys  # those of api_key_file are among them
    sockets = await listen(settings.listen)
    tunnel: tuple[socket.socket, ...] = ()
    try:
        async with assemble(blueprint, is_own=partial(leads_to, sockets)) as assembly:
            _settle()
            if offers_itself(blueprint):
                # what comes through the swarm seems to come from this machine: it is told apart by where it arrives
                tunnel = await listen(LISTEN)
            way_in = entrance(assembly, tunnel[0]) if tunnel else None
            door = _door(assembly, settings, keys, way_in, await whole_memory())
            door.journal = journal or door.journal
            server = Server(_config(application(door)))
            async with background() as tasks:
                tasks.start_soon(server.run_in_task, (*sockets, *tunnel))
                tasks.start_soon(door.board.keep)
                if not keys and not only_here(sockets):
                    announce(Warned(_open_to_all(settings.listen)))
                tasks.start_soon(_introduce, assembly, url_of(settings.listen, sockets), bool(keys), announce)
                tasks.start_soon(mind_token, settings, assembly.identity.ticket, announce)
                stopping, entered = anyio.Event(), anyio.Event()
                with anyio.CancelScope() as entering:

                    async def hear() -> None:
                        await anext(wishes)
                        announce(Stopping(answers=door.working, seconds=settings.drain_seconds))
                        stopping.set()
                        if not entered.is_set():  # a transport may need minutes, where many start on one machine
                            entering.cancel()

                    tasks.start_soon(hear)
                    async with offered(assembly, way_in, _RELEASE) as offer:
                        entered.set()
                        door.drained = partial(follow_drain, assembly, offer)
                        if assembly.hosting is not None:
                            assembly.hosting.changed = door.drained
                        await stopping.wait()
                        if offer is not None:
                            await offer.withdraw()
                        await _close(door, server, wishes, settings.drain_seconds)
                if not entered.is_set():
                    await _close(door, server, wishes, settings.drain_seconds)
    finally:
        gc.unfreeze()
        for listener in (*sockets, *tunnel):
            listener.close()


class Server(uvicorn.Server):
    """uvicorn, less its handling of signals, and less of its looking at the clock."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopping, self.stopped = anyio.Event(), anyio.Event()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals alone: they are received for the whole process, in :func:`run`."""
        yield

    def stop(self) -> None:
        """Have it take no more, finish what it is at, and end."""
        self.should_exit = True
        self._stopping.set()

    async def main_loop(self) -> None:
        """Wait until :meth:`stop`, and keep the date of answers right; uvicorn's own loop looks ten times a second."""
        while not await self.on_tick(0):
            with anyio.move_on_after(_DATE_SECONDS):
                await self._stopping.wait()

    async def run_in_task(self, sockets: tuple[socket.socket, ...]) -> None:
        """Serve on *sockets* until :meth:`stop`; the task must be this server's own."""
        try:
            await self.serve(list(sockets))
        finally:
            # Cancelled, uvicorn leaves both to the loop, which would go on with them; and whoever listens next gets a
            # socket of the same number, for which the loop does not accept anything then.
            for listener in getattr(self, "servers", ()):  # it has them once it has started
                listener.close()
            for connection in tuple(self.server_state.connections):
                connection.transport.abort()
            self.stopped.set()


def _settle() -> None:
    """Spare the garbage collector what is there by now: it stays, and looking it through costs each request a tenth."""
    gc.collect()
    gc.freeze()


def _door(assembly: Assembly, settings: Settings, keys: tuple[str, ...], way_in: Entrance | None, memory: int) -> Door:
    metrics = Metrics(_RELEASE)
    metrics.watch(assembly.dispatcher)
    if assembly.shadow is not None:
        metrics.watch_shadow(assembly.shadow.counts)
    limits = Limits(
        api_keys=keys,
        cors_origins=settings.cors_origins,
        max_body_bytes=int(settings.max_body_mb * _MEGABYTE),
        ping_seconds=settings.ping_seconds,
        max_hops=settings.max_hops,
        route_headers=settings.route_headers,
    )
    began = anyio.current_time()
    ticket = assembly.identity.ticket
    authority = facts_of(ticket).swarm if ticket is not None else ""

    def swarm() -> Swarm:
        return Swarm(
            node=assembly.node,
            seconds=anyio.current_time() - began,
            memory_bytes=memory,
            cores=os.cpu_count() or 0,
            authority=authority,
            federated=settings.federated,
            members=assembly.members(),
            gateways=assembly.peers(),
            placed=assembly.placed(),
            nodes=assembly.dispatcher.nodes(),
            healths={name: backend.health() for name, backend in assembly.all(BACKEND).items()},
        )

    records = Records(settings.kept_requests)
    door = Door(assembly.dispatcher, metrics, _RELEASE, limits, assembly.node, swarm, records)
    if way_in is not None:
        door.member_ports, door.examiner = frozenset({way_in.endpoint.port}), way_in.examiner
    door.responses = Responses(round(settings.kept_responses_mb * 1_000_000))
    if assembly.hosting is not None:
        door.shelf = Shelf(assembly.hosting, settings.models_path(), assembly.blueprint.loader)
    door.ticket, membership = ticket, assembly.identity.membership
    if membership is not None:
        door.revoke = partial(keep_revocation, settings.state_path(), membership)
    return door


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # pyright: ignore[reportArgumentType]  # Litestar's ASGI types and uvicorn's differ in spelling
        loop="none",
        http=JoiningProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
    )


async def _introduce(assembly: Assembly, url: str, keys: bool, announce: Announce) -> None:  # noqa: FBT001  # start_soon
    _log.info("serve.listening", address=url)
    backends = assembly.all(BACKEND)

    def tell(part: str, health: Health) -> None:
        models = ", ".join(card.name for card in backends[part].models())
        placed = next((each for each in assembly.placed() if each.backend == part), None)
        announce(Progress(models or part, health, (placed.plan or placed.coming) if placed else None))

    await assembly.wait_ready(tell)
    cards = tuple(card for card in assembly.dispatcher.models() if assembly.dispatcher.health(card.name).ready)
    _log.info("serve.ready", models=[card.name for card in cards])
    announce(Serving(url, cards, keys))
    if assembly.identity.ticket is not None:
        announce(_joined(assembly, assembly.identity.ticket))


def _joined(assembly: Assembly, ticket: Token | Invite) -> Joined:
    blueprint = assembly.blueprint
    show, said = "" if blueprint.settings.token else "gateway token show", blueprint.origins.get("state_dir", DEFAULT)
    if show and said != DEFAULT and not said.startswith("gateway.toml:"):  # which is found again where this was typed
        show += f" --state-dir {shlex.quote(str(blueprint.settings.state_path()))}"
    return Joined(facts_of(ticket), assembly.node.id, show, federated=blueprint.settings.federated)


async def _close(door: Door, server: Server, wishes: AsyncIterator[object], drain_seconds: float) -> None:
    """Take no more, let answers finish, interrupt those that do not; return when nobody is served."""
    door.close()
    server.stop()
    async with background() as tasks:
        with anyio.move_on_after(drain_seconds) as patience:

            async def lose_patience() -> None:
                await anext(wishes)
                patience.cancel()

            tasks.start_soon(lose_patience)
            await server.stopped.wait()
            return
    if interrupted := door.interrupt():
        _log.warning("serve.interrupted", answers=interrupted)
    with anyio.move_on_after(_LAST_WORDS_SECONDS):
        await server.stopped.wait()


def _open_to_all(address: str) -> str:
    return (
        f"everybody who can reach {address} may use this gateway; set api_keys (or api_key_file) in [gateway],"
        " or listen on 127.0.0.1"
    )
