"""Reads what the running gateway says bit by bit: answers as they are written, and events as they come.

It blocks, as the verbs that use it do: nothing else runs beside them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from urllib.parse import urlsplit

import msgspec

from swarmgate.cli.output import fail
from swarmgate.cli.running import Said, address_of, headers_for, why_nothing
from swarmgate.config.settings import Settings
from swarmgate.errors import Unreachable, WireError
from swarmgate.sse import EventReader, ServerEvent

_OK = 200
_PIECE = 1 << 16
_MOST_BYTES = 8 << 20
#: Silence of so many comments' time means that nobody is there any more.
_COMMENTS = 4
_LEAST_SECONDS = 20.0
_CONNECT_SECONDS = 2.0
#: How long to wait before a gateway that has gone is asked again.
AGAIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Gone:
    """In the place of an event: nobody answers at *url* at the moment, and it will be tried again."""

    url: str


class Answered:
    """An answer that is being read: its *status* and headers are there, its body comes."""

    def __init__(self, url: str, response: HTTPResponse) -> None:
        self.url = url
        self.status = response.status
        self._response = response

    def __repr__(self) -> str:
        return f"<Answered {self.status} by {self.url}>"

    def header(self, name: str) -> str:
        """Return the header's value, empty if there is none."""
        return self._response.getheader(name) or ""

    def said(self) -> Said:
        """Return all of it, read to its end.

        Raises:
            Unreachable: the connection broke.

        """
        with _reading(self.url):
            return Said(self.url, self.status, self._response.read(_MOST_BYTES))

    def events(self) -> Iterator[ServerEvent]:
        """Yield server-sent events until the stream ends.

        Raises:
            Unreachable: it broke off, or was silent for too long.

        """
        reader = EventReader()
        while True:
            with _reading(self.url):
                piece = self._response.read1(_PIECE)
                events = reader.named(piece)
            yield from events
            if not piece:
                return


@contextmanager
def opened(
    settings: Settings, path: str, order: object = None, *, headers: Mapping[str, str] | None = None
) -> Generator[Answered]:
    """Ask the configured gateway for *path*, with *order* as a posted body if there is one, and further *headers*.

    Raises:
        Unreachable: nobody answers there.

    """
    url, sent = address_of(settings), {**headers_for(settings, body=order is not None), **(headers or {})}
    place = urlsplit(url)
    body = None if order is None else msgspec.json.encode(order)
    with closing(HTTPConnection(place.hostname or "", place.port, timeout=_CONNECT_SECONDS)) as connection:
        try:
            connection.connect()
        except (OSError, ValueError):
            raise Unreachable(why_nothing(Said(url), "")) from None
        with _reading(url):
            connection.sock.settimeout(max(_LEAST_SECONDS, _COMMENTS * settings.ping_seconds))
            connection.request("GET" if body is None else "POST", path, body, sent)
            response = connection.getresponse()
        yield Answered(url, response)


def following(settings: Settings, path: Callable[[], str], *, able: str) -> Iterator[ServerEvent | Gone]:
    """Yield the events at what *path* returns, asked before each try.

    When the gateway has gone, that is said once, and it is tried again until it is back.  If nobody is there at
    first, or whoever is there is no gateway that is *able* to do this, the command ends with status 1 and a plain
    message.
    """
    begun = gone = False
    while True:
        try:
            with opened(settings, path()) as answered:
                if answered.status != _OK:
                    fail(why_nothing(answered.said(), able))
                begun, gone = True, False
                yield from answered.events()
        except Unreachable as error:
            if not begun:
                fail(str(error))
        if not gone:
            gone = True
            yield Gone(address_of(settings))
        time.sleep(AGAIN_SECONDS)  # noqa: TID251  # no loop runs here


@contextmanager
def _reading(url: str) -> Generator[None]:
    try:
        yield
    except (OSError, HTTPException, ValueError, WireError) as error:
        raise Unreachable(f"the gateway at {url} has broken off: {str(error) or type(error).__name__}") from None
