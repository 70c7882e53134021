from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from time import time

import pytest
from swarmgate.checks import Patient
from swarmgate.doctor.case import Case, Running
from swarmgate.doctor.clocks import ahead_by, checks, judged
from swarmgate.http.wire.members import PeerDocument

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("date", "ahead"),
    [
        ("Thu, 01 Jan 1970 00:16:40 GMT", 0.0),  # 1000, the second in which it was asked
        ("Thu, 01 Jan 1970 00:16:39 GMT", 0.0),  # 999 may have lasted until 1000.0
        ("Thu, 01 Jan 1970 00:17:40 GMT", 59.5),
        ("Thu, 01 Jan 1970 00:15:40 GMT", -59.0),
        ("not a date", None),
        ("", None),
    ],
)
def test_the_date_tells_within_a_second(date: str, ahead: float | None) -> None:
    """A difference that the date's whole seconds and the time of asking explain is none."""
    found = ahead_by(date, 1000.0, 1000.5)
    assert found == ahead if ahead is None else found == pytest.approx(ahead)


def test_the_harm_is_in_proportion() -> None:
    """A second is none, ten are worth a word, an hour is a fault; ahead and behind are told apart."""
    assert [judged(each, "g").level for each in (0.5, 10.0, -3600.0)] == ["fine", "note", "fault"]
    assert judged(-3600.0, "g").what == "is 3600 s behind this machine's"
    assert judged(30.0, "g").what == "is 30 s ahead of this machine's"


@contextmanager
def clock(ahead: float) -> Generator[str]:
    """Yield the address of a server whose clock is ahead by so many seconds."""

    class Answer(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.end_headers()

        def date_time_string(self, timestamp: float | None = None) -> str:
            return formatdate(time() + ahead, usegmt=True)  # a calendar is what is faked

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def desk(name: str, endpoint: str) -> PeerDocument:
    return PeerDocument(name=name, node=name, service="gateway", addresses=[], state="usable", endpoint=endpoint)


async def test_a_skewed_clock_is_named(
    make_case: Callable[..., Case], patient: Callable[..., Patient], running: Callable[..., Running]
) -> None:
    """Every gateway that is reached is asked; who does not answer is no clock."""
    with clock(0) as right, clock(-7200) as wrong:
        peers = [desk("right", right), desk("wrong", wrong), desk("gone", "127.0.0.1:1")]
        [check] = checks(make_case(running=running(gateways=peers)))
        found = await check.examine(patient())
    assert [(each.about, each.code) for each in found] == [("gateway right", ""), ("gateway wrong", "clocks.skewed")]
    assert "behind" in found[1].what


async def test_without_others_there_is_nothing_to_compare(
    make_case: Callable[..., Case], patient: Callable[..., Patient], running: Callable[..., Running]
) -> None:
    """It says so, and is no fault."""
    for case in (make_case(), make_case(running=running())):
        [check] = checks(case)
        assert [each.level for each in await check.examine(patient())] == ["fine"]
