"""Who may in: ``Authorization: Bearer`` against the configured keys."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from litestar.types import ASGIApp, Receive, Scope, Send

from swarmgate.errors import Unauthorized
from swarmgate.http.bodies import header

#: What watches over the process asks these, and has no key.
OPEN_PATHS = frozenset({"/healthz", "/livez", "/readyz"})


class Keyring:
    """Knows the keys.  With none, everybody may in, whatever they say."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._keys = tuple(key.encode() for key in keys)

    def __repr__(self) -> str:
        return f"<Keyring of {len(self._keys)}>"

    def check(self, authorization: str) -> None:
        """Let the bearer of *authorization*, the header's value, in.

        How long it takes tells nothing about the keys.

        Raises:
            Unauthorized: it names none of the keys.

        """
        if not self._keys:
            return
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise Unauthorized("expected an API key; send it as 'Authorization: Bearer KEY'")
        shown = key.strip().encode("latin-1", "replace")
        if not sum([hmac.compare_digest(shown, known) for known in self._keys]):  # looks at all of them
            raise Unauthorized("the API key is not one of this gateway's")


def guarded_by(keyring: Keyring) -> Callable[[ASGIApp], ASGIApp]:
    """Return a middleware that lets nobody past *keyring*, except to the open paths."""

    def guard(app: ASGIApp) -> ASGIApp:
        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["path"] not in OPEN_PATHS:
                keyring.check(header(scope, b"authorization"))
            await app(scope, receive, send)

        return guarded

    return guard
