from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.errors import WireError
from swarmgate.sse import EventReader

ENDS = st.sampled_from(["\n", "\r\n", "\r"])
LINES = st.one_of(
    st.text(alphabet=st.characters(exclude_characters="\r\n", exclude_categories=("Cs",))).map("data: {}".format),
    st.sampled_from(["data:x", "data", ": ping", "event: delta", "id: 7", "", "", "retry: 5"]),
)


def read(*chunks: bytes) -> list[bytes]:
    reader = EventReader()
    return [event for chunk in chunks for event in reader.feed(chunk)]


def test_events_are_what_stands_between_blank_lines() -> None:
    """Lines of data are joined, one space is dropped, everything else is skipped."""
    assert read(b": ping\n\ndata: a\ndata:  b\nevent: x\n\ndata:c\n\n") == [b"a\n b", b"c"]


def test_a_mark_at_the_start_is_skipped() -> None:
    """Some servers begin with a byte order mark."""
    assert read(b"\xef\xbb\xbfdata: a\n\n") == [b"a"]


@given(st.lists(st.tuples(LINES, ENDS)), st.data())
def test_how_bytes_are_cut_changes_nothing(lines: list[tuple[str, str]], data: st.DataObject) -> None:
    """The same events come of the same bytes, wherever they are cut: in a line's end or in a character."""
    whole = "".join(line + end for line, end in lines).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    expected = read(whole)
    assert read(*pieces) == expected
    assert read(*(whole[at : at + 1] for at in range(len(whole)))) == expected


@given(st.binary(max_size=300), st.integers(1, 64))
def test_no_bytes_break_it(noise: bytes, size: int) -> None:
    """Whatever comes, there are events, or it is too large, and nothing else."""
    reader = EventReader(largest=64)
    try:
        for start in range(0, len(noise), size):
            reader.feed(noise[start : start + size])
        reader.close()
    except WireError:
        pass


def test_an_event_has_a_limit() -> None:
    """Neither one endless line nor endless lines fill the memory."""
    with pytest.raises(WireError, match="more than 10 bytes"):
        EventReader(largest=10).feed(b"data: " + b"x" * 20)
    with pytest.raises(WireError, match="more than 30 bytes"):
        EventReader(largest=30).feed(b"data: abcd\n" * 20)


def test_the_limit_is_each_events_own() -> None:
    """A long stream of short events is no long event."""
    assert len(read(*[b"data: abcd\n\n"] * 1000)) == 1000


def test_the_end_completes_an_event() -> None:
    """A server that leaves out the last blank line has still said what it said."""
    reader = EventReader()
    assert reader.feed(b"data: a\n\ndata: [DONE]") == [b"a"]
    assert reader.close() == [b"[DONE]"]
    assert reader.close() == []


def test_names_are_told_to_whoever_asks() -> None:
    """An event without one is a message; a name holds for its event alone, wherever the bytes are cut."""
    reader = EventReader()
    whole = b"event: hello\nid: 1\ndata: a\n\ndata: b\r\n\r\nevent:bye\ndata: c\n\n"
    cut = [event for at in range(len(whole)) for event in reader.named(whole[at : at + 1])]
    assert cut == [("hello", b"a"), ("message", b"b"), ("bye", b"c")]
    assert EventReader().named(whole) == cut
    assert reader.named(b"event: x\n\n") == []
    assert reader.feed(b"event: y\n") == []
    assert reader.feed(b"data: d\n\n") == [b"d"]
    assert reader.named(b"data: e\n\n") == [("message", b"e")]
