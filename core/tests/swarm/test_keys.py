from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.errors import WireError
from swarmgate.swarm.keys import derive, is_signed, public_key, rendezvous_names, seal, sign, unseal

KEYS = st.binary(min_size=32, max_size=32)
# RFC 8032, 7.1, test 1
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
SIGNATURE = bytes.fromhex(
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
)


@given(secret=KEYS)
def test_each_purpose_has_a_key_of_its_own(secret: bytes) -> None:
    """They are those of HKDF-SHA256 (RFC 5869), written out here, and none shows in another."""
    extracted = hmac.digest(bytes(32), secret, "sha256")
    expected = [
        hmac.digest(extracted, f"swarmgate 1 {label}\x01".encode(), "sha256")
        for label in ("authority", "rendezvous", "sealing")
    ]
    assert list(derive(secret)) == expected
    assert len({secret, *expected}) == 4


def test_keys_and_signatures_are_those_of_the_standard() -> None:
    """Ed25519 as RFC 8032 has it."""
    assert public_key(SEED) == PUBLIC
    assert sign(SEED, b"") == SIGNATURE
    assert is_signed(PUBLIC, SIGNATURE, b"")


@given(seed=KEYS, data=st.binary(max_size=200), other=st.binary(max_size=200))
def test_a_signature_is_of_one_key_and_one_message(seed: bytes, data: bytes, other: bytes) -> None:
    """Nothing else passes, and no bytes whatever raise."""
    signature = sign(seed, data)
    assert is_signed(public_key(seed), signature, data)
    assert is_signed(public_key(seed), signature, other) == (other == data)
    assert not is_signed(public_key(SEED if seed != SEED else bytes(32)), signature, data)
    assert not is_signed(other, signature, data)
    assert not is_signed(public_key(seed), other, data)


@given(key=KEYS, data=st.binary(max_size=500), purpose=st.binary(max_size=8))
def test_what_is_sealed_is_read_by_whoever_has_the_key(key: bytes, data: bytes, purpose: bytes) -> None:
    """Sealed twice it looks different each time, and is 28 bytes longer."""
    sealed = seal(key, data, purpose=purpose)
    assert unseal(key, sealed, purpose=purpose) == data
    assert len(sealed) == len(data) + 28
    assert seal(key, data, purpose=purpose) != sealed


@given(key=KEYS, data=st.binary(min_size=1, max_size=100), at=st.integers(0, 127), bit=st.integers(0, 7))
def test_what_is_changed_is_not_read(key: bytes, data: bytes, at: int, bit: int) -> None:
    """Not with one bit changed, for another purpose, or with another key; the error quotes nothing."""
    sealed = bytearray(seal(key, data, purpose=b"a"))
    for purpose, by in ((b"b", key), (b"a", bytes(byte ^ 1 for byte in key))):
        with pytest.raises(WireError):
            unseal(by, bytes(sealed), purpose=purpose)
    sealed[at % len(sealed)] ^= 1 << bit
    with pytest.raises(WireError, match=r"^a sealed message is not of this swarm, or has been changed$"):
        unseal(key, bytes(sealed), purpose=b"a")


@given(sealed=st.binary(max_size=100))
def test_garbage_is_not_read(sealed: bytes) -> None:
    """Shorter than a nonce, or longer: never anything but the error meant for it."""
    with pytest.raises(WireError):
        unseal(bytes(32), sealed, purpose=b"a")


@given(key=KEYS, hour=st.integers(0, 10_000_000))
def test_names_to_meet_under_change_by_the_hour(key: bytes, hour: int) -> None:
    """Whoever comes just after the turn of an hour still finds those who came before it."""
    now, before = rendezvous_names(key, hour * 3600.0 + 1)
    assert rendezvous_names(key, hour * 3600.0 + 3599) == (now, before)
    assert rendezvous_names(key, hour * 3600.0 - 1)[0] == before
    assert now != before
    assert now == hmac.new(key, b"hour" + hour.to_bytes(8, "big"), hashlib.sha256).hexdigest()[:40]
