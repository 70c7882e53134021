"""The way in: from the settings to the node that lives here, and to its place in a swarm if it is to have one."""

from __future__ import annotations

import anyio
import anyio.to_thread
import structlog

from swarmgate.announcements import Announce, Warned
from swarmgate.config.settings import Settings
from swarmgate.errors import ConfigError
from swarmgate.identity import Identity, establish
from swarmgate.nouns import Node
from swarmgate.quarters import Tenant, claim, move_in
from swarmgate.swarm.kept import kept_pass, make_pass
from swarmgate.swarm.keys import public_key
from swarmgate.swarm.peerids import peer_id
from swarmgate.swarm.token import Invite, Token, read_pass

_log = structlog.get_logger("swarmgate.joining")

_REMEDY = (
    "give it one with --token-file FILE or TOKEN=...: on a gateway of the swarm `gateway token show` prints the token,"
    " `gateway token invite` an invite for one machine (`gateway token new` begins a swarm of its own)"
)


def settle(settings: Settings, *, makes_token: bool = False, tenant: Tenant = "gateway") -> tuple[Node, Identity]:
    """Return the node that this process is, and in which swarm it is.  Reads and writes files.

    It is the *tenant* of the state folder, or of one below it where another process has the first
    (:mod:`swarmgate.quarters`).  The token that *settings* give is used but not kept; without one that of the state
    folder is used.  Where there is none either, one that *makes_token* gets a swarm of its own.

    Raises:
        ConfigError: the folder cannot be used, the token is none, or there is none; the message says what to do.

    """
    shared = settings.state_path()
    ticket = ticket_of(settings, makes_token=makes_token)
    try:
        if isinstance(ticket, Invite):
            claim(shared, peer_id(public_key(ticket.key)))
        folder = move_in(shared, tenant)
    except OSError as error:
        raise ConfigError(f"the state folder {shared} cannot be used: {error}; set state_dir to another") from None
    return establish(folder, settings.name, ticket=ticket, shared=shared)


async def until_rotated(settings: Settings, ticket: Token | Invite, *, seconds: float = 5.0) -> str:
    """Return what to do once another token is kept than *ticket*, with which this process is in its swarm.

    It is looked every so many *seconds*.  A token that was given, and is not kept, is nothing that could be followed.
    """
    if settings.token:
        await anyio.sleep_forever()
    while True:
        await anyio.sleep(seconds)
        try:
            now = await anyio.to_thread.run_sync(kept_pass, settings.state_path())
        except ConfigError:
            continue  # the next start tells
        if now is not None and now.text != ticket.text:
            return (
                f"another token is kept in {settings.state_path()} than this runs with, which is still in the old "
                "swarm: start it anew to be in the new one"
            )


async def mind_token(settings: Settings, ticket: Token | Invite | None, announce: Announce) -> None:
    """Say it once when the token that this process runs with is no longer the one that is kept."""
    if ticket is not None:
        remedy = await until_rotated(settings, ticket)
        _log.warning("joining.token_changed", remedy=remedy)
        announce(Warned(remedy))


def ticket_of(settings: Settings, *, makes_token: bool = False) -> Token | Invite | None:
    """Return the token or invite that *settings* mean, None if they ask for no swarm.

    Raises:
        ConfigError: it is none, or there is none; the message says what to do.

    """
    if not settings.p2p:
        return None
    if settings.token:
        return read_pass(settings.token)
    folder = settings.state_path()
    ticket = make_pass(folder) if makes_token else kept_pass(folder)
    if ticket is None:
        raise ConfigError(f"this machine has no token of a swarm yet; {_REMEDY}")
    return ticket
