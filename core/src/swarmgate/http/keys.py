"""Who may in: by one of the configured keys, however it is shown, or as a member of the swarm by its credentials."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from litestar.types import ASGIApp, Receive, Scope, Send

from swarmgate.errors import Unauthorized, WireError
from swarmgate.http.bodies import credentials
from swarmgate.swarm.credential import PREFIX, Examiner

#: What watches over the process asks these, and has no key; and the page, which holds no data, is for whoever opens it.
OPEN_PATHS = frozenset({"/healthz", "/livez", "/readyz", "/", "/swarm"})
OPEN_FOLDER = "/page/"
#: What a member's credential is good for: asking models.  Looking after the gateway takes one of its keys.
MEMBERS_PATHS = frozenset(
    {
        "/v1/models",
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/rerank",
        "/tokenize",
        "/detokenize",
    }
)
_MEMBERS_FOLDER = "/v1/models/"


class Keyring:
    """Knows the keys.  With none, everybody on this machine or its network may in, whatever they say.

    *tunnels* are the ports at which connections arrive through the swarm.  Whoever comes by them shows one of the keys,
    or a credential that *examiner* finds good: they seem to come from this machine, and do not.
    """

    def __init__(
        self, keys: tuple[str, ...], *, tunnels: frozenset[int] = frozenset(), examiner: Examiner | None = None
    ) -> None:
        self._keys = tuple(key.encode() for key in keys)
        self._tunnels, self._examiner = tunnels, examiner

    def __repr__(self) -> str:
        return f"<Keyring of {len(self._keys)}>"

    def check(self, authorization: str, *, path: str = "", port: int | None = None) -> None:
        """Let the bearer of *authorization*, the header's value, in to *path*, who arrived at *port*.

        How long it takes tells nothing about the keys.

        Raises:
            Unauthorized: it names none of the keys, nor a member that may ask for *path* from elsewhere.

        """
        tunnelled = port in self._tunnels
        if not self._keys and not tunnelled:
            return
        scheme, _, key = authorization.partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key:
            raise Unauthorized("expected an API key; send it as 'Authorization: Bearer KEY' or 'x-api-key: KEY'")
        if tunnelled and self._examiner is not None and key.startswith(PREFIX):
            self._admit(self._examiner, key, path)
            return
        shown = key.encode("latin-1", "replace")
        if not sum([hmac.compare_digest(shown, known) for known in self._keys]):  # looks at all of them
            raise Unauthorized("the API key is not one of this gateway's")

    @staticmethod
    def _admit(examiner: Examiner, key: str, path: str) -> None:
        try:
            peer = examiner.examine(key)
        except WireError as error:
            raise Unauthorized(f"this member may not ask here: {error}") from None
        if path not in MEMBERS_PATHS and not path.startswith(_MEMBERS_FOLDER):
            raise Unauthorized(f"{peer.id} may ask models as a member, and nothing else; {path} takes an API key")


def guarded_by(keyring: Keyring) -> Callable[[ASGIApp], ASGIApp]:
    """Return a middleware that lets nobody past *keyring*, except to the open paths."""

    def guard(app: ASGIApp) -> ASGIApp:
        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["path"] not in OPEN_PATHS and not scope["path"].startswith(OPEN_FOLDER):
                server = scope["server"] if "server" in scope else None  # noqa: SIM401  # its type is not known
                port = server[1] if server else None
                keyring.check(credentials(scope), path=scope["path"], port=port)
            await app(scope, receive, send)

        return guarded

    return guard
