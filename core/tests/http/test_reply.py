from __future__ import annotations

from typing import Any

import anyio.lowlevel
import pytest
from swarmgate.decisions import Decision
from swarmgate.dispatch import Route
from swarmgate.http.reply import Reply
from swarmgate.http.visit import Visit
from swarmgate.http.wire.dialect import Dialect
from swarmgate.http.wire.errors import Fault

pytestmark = pytest.mark.anyio


class Sent(list[Any]):
    async def __call__(self, message: Any) -> None:
        self.append(message)
        await anyio.lowlevel.checkpoint()

    @property
    def told(self) -> dict[str, str]:
        names = {name.decode(): value.decode() for name, value in self[0]["headers"]}
        return {name: value for name, value in names.items() if name.startswith("x-gateway")}


def a_route(reason: str = "least loaded", worker: str = "b1") -> Route:
    decision = Decision(chosen=worker, reason=reason)
    return Route(model="m", worker=worker, attempts=1, queue_seconds=0.25, decisions=[decision])


async def test_the_head_tells_the_way() -> None:
    """Whom, how many, how often carried on, why, and how long it waited."""
    sent = Sent()
    await Reply(sent, Visit(id="r", routes=[a_route()])).document(b"{}")
    assert sent.told == {
        "x-gateway-worker": "b1",
        "x-gateway-attempts": "1",
        "x-gateway-resumed": "0",
        "x-gateway-route-reason": "least loaded",
        "x-gateway-queue-ms": "250",
    }


async def test_the_way_need_not_be_told() -> None:
    """All of these headers go together, and so does the comment at a stream's end."""
    sent, route = Sent(), a_route()
    reply = Reply(sent, Visit(id="r", routes=[route]), tells_route=False)
    await reply.write(b"data: 1\n\n")
    route.attempts = 2
    await reply.write(b"data: 2\n\n", last=True)
    assert sent.told == {}
    assert sent[-1]["body"] == b"data: 2\n\n"


async def test_where_nobody_was_asked_there_is_no_worker() -> None:
    """A request that was given up in the queue says how long it waited; one without a model says nothing."""
    sent = Sent()
    await Reply(sent, Visit(id="r", routes=[Route(model="m", queue_seconds=1.0)])).document(b"{}")
    assert sent.told == {"x-gateway-attempts": "0", "x-gateway-resumed": "0", "x-gateway-queue-ms": "1000"}
    sent = Sent()
    await Reply(sent, Visit(id="r", routes=[Route()])).document(b"{}")
    assert sent.told == {}


async def test_foreign_words_fit_into_a_header() -> None:
    """What balancers and other machines say is one short line of ASCII, whatever it was."""
    sent = Sent()
    route = a_route(reason="größe\r\nSet-Cookie: x" + "y" * 500, worker="a\r\nb\x00c\u2028")
    await Reply(sent, Visit(id="r", routes=[route])).document(b"{}")
    assert sent.told["x-gateway-worker"] == "a b?c"
    assert sent.told["x-gateway-route-reason"].startswith("gr?e Set-Cookie: xy")
    assert len(sent.told["x-gateway-route-reason"]) == 200


async def test_a_stream_ends_with_the_final_numbers() -> None:
    """If it was carried on after its head, a comment before the last event says so; clients skip comments."""
    sent, route = Sent(), a_route()
    reply = Reply(sent, Visit(id="r", routes=[route]))
    await reply.write(b"data: 1\n\n")
    route.attempts, route.resumed, route.worker = 2, 1, "b2"
    await reply.write(b"data: 2\n\n", last=True)
    assert sent.told["x-gateway-resumed"] == "0"
    assert sent[-1]["body"] == (b": x-gateway-attempts=2 x-gateway-resumed=1 x-gateway-worker=b2\n\ndata: 2\n\n")


async def test_comments_are_for_streams_under_way() -> None:
    """A stream may have one before its first piece; a document has no place for one, nor has what is over."""
    sent = Sent()
    reply = Reply(sent, Visit(id="r"))
    await reply.ping()
    assert sent == []
    reply.streams = True
    await reply.ping()
    await reply.write(b"data: 1\n\n", last=True)
    await reply.ping()
    assert [message.get("body") for message in sent] == [None, b": ping\n\n", b"data: 1\n\n"]
    refused = Reply(sent := Sent(), Visit(id="r"))
    refused.streams = True
    await refused.document(b"{}")
    await refused.ping()
    assert [message.get("body") for message in sent] == [None, b"{}"]


LINES = Dialect(
    name="lines",
    error=lambda fault: b'{"whole":"%b"}' % fault.message.encode(),
    failure=lambda fault: b'{"last":"%b"}\n' % fault.message.encode(),
    stream_type=b"application/x-ndjson",
    ping=b"",
    comments=False,
)
FAULT = Fault(502, "gone", "server_error", code="engine_error")


async def test_a_stream_is_in_its_dialect() -> None:
    """Its content type, what it says of an error after its head, and that it has no place for comments."""
    sent, route = Sent(), a_route()
    reply = Reply(sent, Visit(id="r", routes=[route], dialect=LINES))
    reply.streams = True
    await reply.ping()
    assert sent == []
    await reply.write(b"1\n")
    route.attempts = 2
    await reply.fail(FAULT)
    assert (b"content-type", b"application/x-ndjson") in sent[0]["headers"]
    assert [message.get("body") for message in sent] == [None, b"1\n", b'{"last":"gone"}\n']


async def test_an_error_before_the_head_is_a_document_of_the_dialect() -> None:
    """With its status, and its code for the log."""
    sent, visit = Sent(), Visit(id="r", dialect=LINES)
    await Reply(sent, visit).fail(FAULT)
    assert sent[0]["status"] == 502
    assert sent[1]["body"] == b'{"whole":"gone"}'
    assert visit.fault == "engine_error"


async def test_a_form_may_tell_of_a_failure_itself() -> None:
    """Where the last piece needs to know what came before."""
    sent = Sent()
    reply = Reply(sent, Visit(id="r", dialect=LINES))
    reply.failure = lambda fault: b"after 1: %b" % fault.message.encode()
    await reply.write(b"1\n")
    await reply.fail(FAULT)
    assert sent[-1]["body"] == b"after 1: gone"
