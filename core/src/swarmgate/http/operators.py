"""Who may look after the gateway: see its token, take nodes out of service, let nobody of the swarm be an operator."""

from __future__ import annotations

from typing import Any

from litestar import Request

from swarmgate.errors import Unauthorized
from swarmgate.http.bodies import credentials, header
from swarmgate.http.door import Door
from swarmgate.http.keys import Keyring
from swarmgate.listening import is_here


def admit_operator(door: Door, request: Request[Any, Any, Any], *, to: str) -> None:
    """Let the sender of *request* go on if it may look after this gateway; *to* says what it wants, in words.

    With API keys it has to show one: that a member of the swarm may ask for answers does not make it an operator.
    Without, it has to be on this machine itself, and ask for it by a name of this machine: else a page in somebody's
    browser could have its own name lead here.  And a browser must not say that a page from elsewhere sends it.  What
    comes through the swarm comes from a port of ours on this machine and is a stranger all the same.

    Raises:
        Unauthorized: it may not.

    """
    if door.limits.api_keys:
        Keyring(door.limits.api_keys).check(credentials(request.scope))
        return
    server = request.scope["server"]
    through_swarm = server is not None and server[1] in door.member_ports
    here = request.client is not None and is_here(request.client.host) and not through_swarm
    if not here or not _names_here(header(request.scope, b"host")) or not _is_own_page(request):
        raise Unauthorized(f"without API keys only this machine itself may {to}; set api_keys in [gateway]")


def _is_own_page(request: Request[Any, Any, Any]) -> bool:
    """Return whether no page sent *request*, or one of this very gateway: browsers say whose page it was."""
    origin = header(request.scope, b"origin")
    return not origin or origin.partition("://")[2] == header(request.scope, b"host")


def _names_here(host: str) -> bool:
    """Return whether *host*, a header's value, is a name of this machine; who sends none is no browser."""
    if not host:
        return True
    name = host.partition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
    return is_here(name)
