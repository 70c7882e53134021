"""What a kind of client expects of every answer, whatever was asked: how streams look, and how errors do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from swarmgate.http.wire.errors import Fault, error_event, error_json
from swarmgate.http.wire.heading import PING

EVENTS = b"text/event-stream; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Dialect:
    """The manners of one API.

    It is spoken at *paths*, and below each of them.  *error* is an error's document, *failure* the last piece of a
    stream that fails after its head is out: no stream just stops.  *stream_type* is the content type of streams;
    *ping* is what goes into a silent one, empty for nothing; *comments* says whether lines that begin with a colon
    may stand between its pieces.  *id_header* is a further header for the request's id, in lower case.
    """

    name: str
    error: Callable[[Fault], bytes]
    failure: Callable[[Fault], bytes]
    paths: tuple[str, ...] = ()
    stream_type: bytes = EVENTS
    ping: bytes = PING
    comments: bool = True
    id_header: bytes = b""

    def spoken_at(self, path: str) -> bool:
        """Return whether clients who ask for *path* speak it."""
        return any(path == own or path.startswith(f"{own}/") for own in self.paths)


#: What is spoken wherever no other dialect is.
OPENAI = Dialect(name="openai", error=error_json, failure=error_event)
