from __future__ import annotations

from swarmgate.http.wire.responses.events import EVENTS, ArgumentsDelta, sent


def test_an_event_is_sent_under_its_own_name() -> None:
    """Which its data says again."""
    event = ArgumentsDelta(sequence_number=3, item_id="fc", output_index=0, delta="{")
    head, data, *rest = sent(event).split(b"\n")
    assert head == b"event: response.function_call_arguments.delta"
    assert data.startswith(b'data: {"type":"response.function_call_arguments.delta","sequence_number":3,')
    assert rest == [b"", b""]


def test_no_two_events_have_one_name() -> None:
    """And the list has all of them."""
    names = [event.__struct_config__.tag for event in EVENTS]
    assert len(set(names)) == len(names) == 16
