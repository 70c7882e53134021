"""The way in: from the settings to the node that lives here, and to its place in a swarm if it is to have one."""

from __future__ import annotations

from swarmgate.config.settings import Settings
from swarmgate.errors import ConfigError
from swarmgate.identity import Identity, establish
from swarmgate.nouns import Node
from swarmgate.swarm.kept import kept_pass, make_pass
from swarmgate.swarm.token import Invite, Token, read_pass

_REMEDY = (
    "give it one with --token-file FILE or TOKEN=...: on a gateway of the swarm `gateway token show` prints the token,"
    " `gateway token invite` an invite for one machine (`gateway token new` begins a swarm of its own)"
)


def settle(settings: Settings, *, makes_token: bool = False) -> tuple[Node, Identity]:
    """Return the node that lives in the state folder, and in which swarm it is.  Reads and writes files.

    The token that *settings* give is used but not kept; without one that of the state folder is used.  Where there is
    none either, one that *makes_token* gets a swarm of its own.

    Raises:
        ConfigError: the folder cannot be used, the token is none, or there is none; the message says what to do.

    """
    return establish(settings.state_path(), settings.name, ticket=ticket_of(settings, makes_token=makes_token))


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
