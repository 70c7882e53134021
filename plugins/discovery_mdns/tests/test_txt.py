from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.api import WireError
from swarmgate_discovery_mdns.txt import LARGEST, from_txt, to_txt


@given(message=st.binary(max_size=7000))
def test_a_message_comes_back(message: bytes) -> None:
    """Whatever is put into a record is read out of it, and the record is one that DNS can carry."""
    data = to_txt(message)
    assert from_txt(data) == message
    assert len(data) <= LARGEST


@given(message=st.binary(min_size=600, max_size=2000), data=st.data())
def test_the_order_of_the_strings_does_not_matter(message: bytes, data: st.DataObject) -> None:
    """Some caches sort the strings of a record."""
    strings: list[bytes] = []
    rest = to_txt(message)
    while rest:
        strings.append(rest[: rest[0] + 1])
        rest = rest[rest[0] + 1 :]
    assert from_txt(b"".join(data.draw(st.permutations(strings)))) == message


def test_more_than_a_record_holds_is_refused() -> None:
    """Before it is put on the network."""
    with pytest.raises(WireError, match="does not fit"):
        to_txt(bytes(LARGEST))


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "another version"),
        (b"\x00", "another version"),
        (b"\x03v=2\x030=x", "another version"),
        (b"\x03v=1\x031=x", "lacks a piece"),
        (b"\x03v=1\x090=x", "cut short"),
        (bytes(LARGEST + 1), "expected no more"),
    ],
)
def test_what_is_no_record_of_ours_is_named(data: bytes, fault: str) -> None:
    """Each fault has its own words."""
    with pytest.raises(WireError, match=fault):
        from_txt(data)


@given(data=st.binary(max_size=300))
def test_garbage_raises_nothing_else(data: bytes) -> None:
    """Whatever a stranger announces."""
    try:
        from_txt(data)
    except WireError:
        return
    assert b"v=1" in data
