"""What is derived from a token's secret, and what is sealed with it.  Pure, but for the nonces' dice.

Derivation: HKDF-SHA256 (RFC 5869) without salt, one label for each purpose, so that none of the keys tells anything
about another.  Sealing: ChaCha20-Poly1305 (RFC 8439) with a random nonce of 96 bits in front; one key may seal some
2^32 messages before a nonce repeats with a chance of 2^-33, which is centuries of a busy swarm.
"""

from __future__ import annotations

import hmac
import os
from typing import NamedTuple

from swarmgate.errors import WireError

_NONCE_BYTES, _TAG_BYTES, _KEY_BYTES = 12, 16, 32
_HOUR = 3600


class Secrets(NamedTuple):
    """The swarm's keys, 32 bytes each: *authority* is an Ed25519 seed, whose holder lets others in."""

    authority: bytes
    rendezvous: bytes
    sealing: bytes

    def __repr__(self) -> str:
        return "<Secrets>"  # whatever is logged or raised with them


def derive(secret: bytes) -> Secrets:
    """Return what a swarm's members have in common, from the token's 32 bytes."""
    return Secrets(*(_expanded(secret, label) for label in Secrets._fields))


def public_key(seed: bytes) -> bytes:
    """Return the Ed25519 public key, 32 bytes, of a *seed* of 32 bytes."""
    return _private(seed).public_key().public_bytes_raw()


def sign(seed: bytes, data: bytes) -> bytes:
    """Return the Ed25519 signature, 64 bytes, of *data* by the key of *seed*."""
    return _private(seed).sign(data)


def is_signed(key: bytes, signature: bytes, data: bytes) -> bool:
    """Return whether *signature* of *data* is by the holder of the public *key*."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def rendezvous_names(rendezvous: bytes, now: float) -> tuple[str, str]:
    """Return under which names members look for one another at *now* (Unix seconds): this hour's and the one before.

    They are hexadecimal, of 40 digits, and change by the hour: whoever sees one learns nothing of the next.
    """
    hours = (int(now) // _HOUR, int(now) // _HOUR - 1)
    first, second = (
        hmac.digest(rendezvous, b"hour" + hour.to_bytes(8, "big", signed=True), "sha256").hex()[:40] for hour in hours
    )
    return first, second


def seal(key: bytes, data: bytes, *, purpose: bytes) -> bytes:
    """Return *data* so that only holders of the 32-byte *key* can read it, and only for the same *purpose*."""
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    nonce = os.urandom(_NONCE_BYTES)
    return nonce + ChaCha20Poly1305(key).encrypt(nonce, data, purpose)


def unseal(key: bytes, sealed: bytes, *, purpose: bytes) -> bytes:
    """Return what was sealed.

    Raises:
        WireError: it was not sealed with this key, or for another purpose, or has been changed.

    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    try:
        return ChaCha20Poly1305(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], purpose)
    except (InvalidTag, ValueError):
        raise WireError("a sealed message is not of this swarm, or has been changed") from None


def _expanded(secret: bytes, label: str) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), _KEY_BYTES, salt=None, info=f"swarmgate 1 {label}".encode()).derive(secret)


def _private(seed: bytes):  # noqa: ANN202  # cryptography is imported late: it takes 70 ms
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(seed)
