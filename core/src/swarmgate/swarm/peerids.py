"""Peer ids: an Ed25519 public key as libp2p writes it.  Pure.

Format: the protobuf ``PublicKey`` message (type Ed25519) inside an identity multihash, in base58btc without a multibase
prefix; such ids begin with ``12D3KooW``.  Source: libp2p's specification "Peer Ids and Keys".
"""

from __future__ import annotations

import base58

from swarmgate.errors import WireError
from swarmgate.nouns import NodeId

#: Identity multihash (0x00) of 36 bytes: protobuf field 1 (key type) = 1, Ed25519; field 2 (data) of 32 bytes.
_HEAD = bytes((0x00, 0x24, 0x08, 0x01, 0x12, 0x20))
PUBLIC_KEY_BYTES = 32
#: Longer than any peer id we read, so that a long text is refused before it is decoded.
_LONGEST = 64


def peer_id(public_key: bytes) -> NodeId:
    """Return the peer id of an Ed25519 *public_key* of 32 bytes."""
    if len(public_key) != PUBLIC_KEY_BYTES:
        raise ValueError(f"an Ed25519 public key has {PUBLIC_KEY_BYTES} bytes, not {len(public_key)}")
    return NodeId(base58.b58encode(_HEAD + public_key).decode())


def public_key_of(peer: str) -> bytes:
    """Return the Ed25519 public key, 32 bytes, that the id *peer* stands for.

    Raises:
        WireError: it is no peer id, or one of another kind of key.

    """
    try:
        raw = base58.b58decode(peer) if len(peer) <= _LONGEST else b""
    except ValueError:
        raw = b""
    if len(raw) != len(_HEAD) + PUBLIC_KEY_BYTES or not raw.startswith(_HEAD):
        raise WireError(f"{peer[:_LONGEST]!r} is no peer id of an Ed25519 key; such ids begin with 12D3KooW")
    return raw[len(_HEAD) :]
