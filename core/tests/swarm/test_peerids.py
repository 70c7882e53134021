from __future__ import annotations

import base58
import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.errors import WireError
from swarmgate.swarm.peerids import peer_id, public_key_of

#: From libp2p's specification of peer ids.
KNOWN = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"


@given(key=st.binary(min_size=32, max_size=32))
def test_an_id_is_a_key_written_as_libp2p_does(key: bytes) -> None:
    """It begins as all of Ed25519 keys do, and leads back to the key."""
    peer = peer_id(key)
    assert peer.startswith("12D3KooW")
    assert public_key_of(peer) == key
    assert base58.b58decode(peer) == bytes.fromhex("002408011220") + key


def test_ids_of_others_are_read() -> None:
    """The specification's own example is one."""
    assert peer_id(public_key_of(KNOWN)) == KNOWN


@given(text=st.text(max_size=100) | st.binary(max_size=60).map(lambda data: base58.b58encode(data).decode()))
def test_what_is_no_id_is_refused(text: str) -> None:
    """With one error, in which no more than an id's length is quoted."""
    reason = ""
    try:
        assert base58.b58decode(peer_id(public_key_of(text))) == base58.b58decode(text)
    except WireError as error:
        reason = str(error)
    assert len(reason) < 800


def test_other_kinds_of_keys_are_refused() -> None:
    """RSA's ids begin with Qm; a key of another length has none."""
    with pytest.raises(WireError, match="such ids begin with 12D3KooW"):
        public_key_of("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N")
    with pytest.raises(ValueError, match="has 32 bytes, not 3"):
        peer_id(b"abc")
