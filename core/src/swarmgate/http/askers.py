"""Who asks, as far as a request's head tells, and how long they are going to wait.  Pure."""

from __future__ import annotations

import hashlib

from litestar.types import Scope

from swarmgate.admission import Asker
from swarmgate.http.bodies import credentials, header

#: Headers in which clients say after how many seconds they give up: one that anybody may send, and those of
#: OpenAI's SDKs for Python and for JavaScript.
_PATIENCE = (b"x-request-timeout", b"x-stainless-read-timeout", b"x-stainless-timeout")


def asker_of(scope: Scope) -> Asker:
    """Return who sent the request: the bearer of a key, told apart by a hash of it, else the address it comes from."""
    shown = credentials(scope).partition(" ")[2].strip()
    if shown:
        key = hashlib.blake2b(shown.encode("latin-1", "replace"), digest_size=8).hexdigest()
    else:
        client = scope["client"] if "client" in scope else None  # noqa: SIM401  # Litestar's type of get() is not known
        key = client[0] if client else ""
    return Asker(key=key, seconds=_seconds(scope))


def _seconds(scope: Scope) -> float | None:
    """Return what the client says it waits; None if it says nothing sensible."""
    for name in _PATIENCE:
        said = header(scope, name)
        if not said:
            continue
        try:
            seconds = float(said)
        except ValueError:
            continue
        if seconds > 0:  # which no NaN is
            return seconds
    return None
