"""Responses that clients may come back to, in memory, up to a limit.  Pure."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from swarmgate.errors import RequestError
from swarmgate.http.wire.responses.items import ItemBody


class UnknownResponse(RequestError):
    """No such response is kept, or no longer."""

    status = 404
    code = "response_not_found"


@dataclass(frozen=True, slots=True)
class Kept:
    """A response, and what it was asked with.

    *owner* is who may come back to it, *previous* the response it goes on from, *document* its JSON.  *given* and
    *written* are its own items, in order, each with an id.
    """

    id: str
    owner: str
    document: bytes
    given: tuple[ItemBody, ...]
    written: tuple[ItemBody, ...]
    previous: str = ""
    given_bytes: int = 0

    @property
    def bytes(self) -> int:
        """Return about how much memory it takes."""
        return 2 * (len(self.document) + self.given_bytes)  # as JSON, and as items


class Responses:
    """The latest responses, of at most *limit* bytes together; what is used stays longest."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._items: dict[str, str] = {}
        self._bytes = 0

    def __repr__(self) -> str:
        return f"<Responses {len(self._kept)} of {self._bytes} bytes>"

    def keep(self, response: Kept) -> None:
        """Keep *response*, and let go of those that were not used for longest if it becomes too much.

        What alone is more than the limit is not kept.
        """
        if response.bytes > self.limit:
            return
        self._kept[response.id] = response
        self._bytes += response.bytes
        for item in (*response.given, *response.written):
            if item.id:
                self._items[item.id] = response.id
        self._touch(response.id)
        while self._bytes > self.limit:
            self._drop(next(iter(self._kept)))

    def find(self, name: str, owner: str) -> Kept:
        """Return the response of that *name*.

        Raises:
            UnknownResponse: *owner* has none such.

        """
        found = self._find(name, owner, "response_id")
        self._touch(name)
        return found

    def forget(self, name: str, owner: str) -> None:
        """Let go of the response of that *name*.

        Raises:
            UnknownResponse: *owner* has none such.

        """
        self._find(name, owner, "response_id")
        self._drop(name)

    def conversation(self, name: str, owner: str) -> tuple[ItemBody, ...]:
        """Return all items up to the response of that *name* and with it.

        Raises:
            UnknownResponse: it is not kept, or one that it goes on from is not.

        """
        self._touch(name)
        turns: list[Kept] = []
        while name:
            turns.append(self._find(name, owner, "previous_response_id"))
            name = turns[-1].previous
        return tuple(item for turn in reversed(turns) for item in (*turn.given, *turn.written))

    def item(self, name: str, owner: str) -> ItemBody | None:
        """Return the item of that id, None if *owner* has none such."""
        found = self._kept.get(self._items.get(name, ""))
        if found is None or found.owner != owner:
            return None
        return next((item for item in (*found.given, *found.written) if item.id == name), None)

    def _find(self, name: str, owner: str, param: str) -> Kept:
        found = self._kept.get(name)
        if found is None or found.owner != owner:
            raise UnknownResponse(self._why_unknown(name[:80], param), param=param)
        return found

    def _touch(self, name: str) -> None:
        """Count *name*, and before it all that it goes on from, as used just now."""
        turns: list[str] = []
        while name in self._kept:
            turns.append(name)
            name = self._kept[name].previous
        for turn in reversed(turns):
            self._kept.move_to_end(turn)

    def _drop(self, name: str) -> None:
        gone = self._kept.pop(name)
        self._bytes -= gone.bytes
        for item in (*gone.given, *gone.written):
            if item.id and self._items.get(item.id) == name:
                del self._items[item.id]

    def _why_unknown(self, name: str, param: str) -> str:
        if not self.limit:
            return f"{param}: this gateway keeps no responses; send the whole conversation in input"
        return (
            f"{param}: no response {name!r} is kept here; the latest are, in memory, up to"
            f" {self.limit / 1_000_000:g} MB until the gateway stops: send the whole conversation in input"
        )
