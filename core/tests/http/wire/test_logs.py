from __future__ import annotations

import msgspec
from swarmgate.http.wire.logs import LogEvent, LogList, logs_json, sent_event, without
from swarmgate.journal import Event

EVENT = Event(7, {"timestamp": "t", "level": "info", "logger": "l", "event": "a.b", "worker": "w", "count": 2})


def test_an_event_has_its_facts_apart() -> None:
    """Time, level, logger and name stand beside them, and the id says which run and which event."""
    listed = msgspec.json.decode(logs_json([EVENT], "ab", 9), type=LogList)
    facts = {"worker": "w", "count": 2}
    expected = LogEvent(id="ab-7", at="t", level="info", logger="l", event="a.b", facts=facts)
    assert (listed.kept, listed.data) == (9, [expected])


def test_an_event_is_sent_as_one() -> None:
    """One line of data, whatever it holds."""
    sent = sent_event(Event(1, {"event": "a\n\nb"}), "ab")
    assert sent.startswith(b"data: {")
    assert sent.endswith(b"}\n\n")
    assert sent.count(b"\n") == 2


def test_secrets_are_hidden() -> None:
    """Also those that JSON writes otherwise; what is too short for a key stays, lest half the words go."""
    document = msgspec.json.encode(["key-12345678", 'quoted"12345678', "a"])
    assert without(document, ("key-12345678", 'quoted"12345678', "a")) == b'["***","***","a"]'
