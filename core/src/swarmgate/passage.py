"""The gateways a request has come through: told from one to the next, so that none goes in circles.

The passage is set at the door and read by whoever sends the request on, a task away or in a plugin:
it belongs to everything that is asked, and to no single kind of question.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec

from swarmgate.errors import LoopDetected, RequestError
from swarmgate.nouns import NodeId

#: How many gateways came before, and which, in order and divided by commas.
HOPS_HEADER = "X-Gateway-Hops"
PATH_HEADER = "X-Gateway-Path"
_HOPS = re.compile(r"[0-9]{1,4}")
_ID = re.compile(r"[A-Za-z0-9._:@-]{1,128}")
_LONGEST = 64


class Passage(msgspec.Struct, frozen=True):
    """How a request came here: *hops* counts the gateways before this one, *path* names them.

    Without any it came from an ordinary client.
    """

    hops: int = 0
    path: tuple[NodeId, ...] = ()

    @property
    def relayed(self) -> bool:
        """Return whether another gateway sent it."""
        return self.hops > 0

    def check(self, node: NodeId, limit: int) -> None:
        """See that *node* may take it on.

        Raises:
            LoopDetected: it was here before, or has been through more than *limit* gateways.

        """
        if node in self.path:
            raise LoopDetected(
                f"this request went in a circle: it has come through this gateway ({node}) before, by"
                f" {' -> '.join(self.path)}; let no gateway have itself for a node, not even by way of others"
            )
        if self.hops > limit:
            raise LoopDetected(
                f"this request has come through {self.hops} gateways, and max_hops allows {limit};"
                " look for gateways that have one another for nodes, or raise max_hops"
            )

    def onward(self, node: NodeId) -> dict[str, str]:
        """Return the headers by which *node* tells the next one."""
        return {HOPS_HEADER: str(self.hops + 1), PATH_HEADER: ",".join((*self.path, node))}


def read_passage(hops: str, path: str) -> Passage:
    """Read the two headers; both are empty for an ordinary client's request.

    Raises:
        RequestError: they are not what a gateway would send.

    """
    if hops and not _HOPS.fullmatch(hops):
        raise RequestError(f"{HOPS_HEADER.lower()}: expected a whole number, found {hops[:32]!r}; leave it out")
    ids = [entry.strip() for entry in path.split(",")] if path else []
    if len(ids) > _LONGEST or not all(map(_ID.fullmatch, ids)):
        raise RequestError(f"{PATH_HEADER.lower()}: expected the ids of gateways divided by commas; leave it out")
    return Passage(max(int(hops or 0), len(ids)), tuple(map(NodeId, ids)))


_HERE = Passage()
_passage: ContextVar[Passage] = ContextVar("passage", default=_HERE)


@contextmanager
def travelling(passage: Passage) -> Generator[None]:
    """Let what is asked in the block, and in tasks that begin there, have come by *passage*."""
    token = _passage.set(passage)
    try:
        yield
    finally:
        _passage.reset(token)


def current_passage() -> Passage:
    """Return how the request that this task works for came here."""
    return _passage.get()
