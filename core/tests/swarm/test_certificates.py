from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.errors import WireError
from swarmgate.swarm.certificates import (
    LARGEST,
    Role,
    authority_certificate,
    authority_key,
    examine,
    issue,
    peer_of,
)
from swarmgate.swarm.keys import public_key
from swarmgate.swarm.peerids import peer_id

AUTHORITY, STRANGER, MEMBER = (bytes([number]) * 32 for number in (1, 2, 3))
AUTHORITY_KEY = public_key(AUTHORITY)
NOW = 1_800_000_000.0
DAY = 86_400.0
CERTIFICATE = issue(AUTHORITY, public_key(MEMBER), "worker", now=NOW, days=30)


@given(seed=st.binary(min_size=32, max_size=32), role=st.sampled_from(("owner", "node", "worker", "viewer")))
def test_who_is_issued_one_is_known_by_it(seed: bytes, role: Role) -> None:
    """Its key, id and role come back, and its end; one without days has none."""
    key = public_key(seed)
    peer = examine(issue(AUTHORITY, key, role, now=NOW, days=1.5), AUTHORITY_KEY, now=NOW)
    assert (peer.id, peer.role, peer.public_key, peer.until) == (peer_id(key), role, key, NOW + 1.5 * DAY)
    assert examine(issue(AUTHORITY, key, role, now=NOW), AUTHORITY_KEY, now=NOW + 1000 * 365 * DAY).role == role


def test_it_counts_from_a_day_before_until_its_end() -> None:
    """Clocks may differ by a day; afterwards it says that it ended, and still who it is about."""
    for now in (NOW - DAY, NOW, NOW + 30 * DAY):
        examine(CERTIFICATE, AUTHORITY_KEY, now=now)
    peer = peer_id(public_key(MEMBER))
    with pytest.raises(WireError, match=f"the certificate of {peer} ended"):
        examine(CERTIFICATE, AUTHORITY_KEY, now=NOW + 30 * DAY + 1)
    with pytest.raises(WireError, match="begins later; compare the clocks"):
        examine(CERTIFICATE, AUTHORITY_KEY, now=NOW - DAY - 1)
    assert peer_of(CERTIFICATE, AUTHORITY_KEY).id == peer


def test_another_swarms_counts_nowhere() -> None:
    """Nor one that a member signed, which is no authority."""
    for signer in (STRANGER, MEMBER):
        with pytest.raises(WireError, match="not of this swarm's authority: is the token the same on both sides"):
            examine(issue(signer, public_key(MEMBER), "owner", now=NOW), AUTHORITY_KEY, now=NOW)
    with pytest.raises(WireError, match="says who it is about in another way"):
        examine(authority_certificate(AUTHORITY), AUTHORITY_KEY, now=NOW)


def test_the_authoritys_is_the_same_wherever_it_is_made() -> None:
    """Byte for byte, so that nobody needs to be sent it; members' are each their own."""
    assert authority_certificate(AUTHORITY) == authority_certificate(AUTHORITY)
    assert authority_key(authority_certificate(AUTHORITY)) == AUTHORITY_KEY
    again = issue(AUTHORITY, public_key(MEMBER), "worker", now=NOW, days=30)
    assert peer_of(again, AUTHORITY_KEY).serial != peer_of(CERTIFICATE, AUTHORITY_KEY).serial
    with pytest.raises(WireError, match="not signed by itself"):
        authority_key(CERTIFICATE)


@pytest.mark.filterwarnings("ignore:Parsed a serial number")  # always the same words: no stranger fills a log by it
def test_one_that_was_changed_is_refused() -> None:
    """Whichever bit it was: with one error, whatever the parser says, and no warning that quotes it."""
    authority = authority_certificate(AUTHORITY)
    for whole, read in ((CERTIFICATE, lambda data: examine(data, AUTHORITY_KEY, now=NOW)), (authority, authority_key)):
        for bit in range(8 * len(whole)):
            with pytest.raises(WireError):
                read(flipped(whole, bit))


def test_one_that_was_cut_is_refused() -> None:
    """Wherever; and one with something behind it."""
    for whole in (CERTIFICATE, authority_certificate(AUTHORITY)):
        for wrong in (*(whole[:end] for end in range(len(whole))), whole + b"x"):
            with pytest.raises(WireError):
                authority_key(wrong)
            with pytest.raises(WireError):
                examine(wrong, AUTHORITY_KEY, now=NOW)


def flipped(data: bytes, bit: int) -> bytes:
    """Return *data* with one bit changed."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@given(data=st.binary(max_size=300))
def test_garbage_is_refused(data: bytes) -> None:
    """With one error."""
    for read in (lambda: examine(data, AUTHORITY_KEY, now=NOW), lambda: authority_key(data)):
        with pytest.raises(WireError):
            read()


def test_a_long_one_is_not_parsed() -> None:
    """Its length is told, and nothing else looked at."""
    with pytest.raises(WireError, match=rf"of {LARGEST + 1} bytes, expected no more than {LARGEST}"):
        examine(CERTIFICATE + bytes(LARGEST + 1 - len(CERTIFICATE)), AUTHORITY_KEY, now=NOW)


def identity(folder: Path, authority: bytes, seed: bytes) -> Path:
    """Write a member's certificate and key as OpenSSL reads them."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    certificate = ssl.DER_cert_to_PEM_cert(issue(authority, public_key(seed), "node", now=1_700_000_000.0))
    file = folder / f"{authority[0]}-{seed[0]}.pem"
    file.write_text(pem + certificate)
    return file


def context(side: int, file: Path) -> ssl.SSLContext:
    """Return a context that trusts the authority alone, and shows what is in *file*."""
    made = ssl.SSLContext(side)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_REQUIRED
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.load_verify_locations(cadata=authority_certificate(AUTHORITY))
    made.load_cert_chain(file)
    return made


def shake_hands(client_file: Path, server_file: Path) -> tuple[bytes | None, bytes | None]:
    """Return whom the client, and whom the server, found at the other end; a refusal is raised."""
    one, two = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context(ssl.PROTOCOL_TLS_CLIENT, client_file).wrap_bio(one, two)
    server = context(ssl.PROTOCOL_TLS_SERVER, server_file).wrap_bio(two, one, server_side=True)
    waiting = [client, server]
    for _ in range(10):
        for side in tuple(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                pass
    assert not waiting
    return client.getpeercert(binary_form=True), server.getpeercert(binary_form=True)


def test_openssl_lets_in_members_alone(tmp_path: Path) -> None:
    """With the authority as the only root both ends accept a member's chain, and neither one of another swarm."""
    member, other = identity(tmp_path, AUTHORITY, MEMBER), identity(tmp_path, AUTHORITY, bytes([4]) * 32)
    found = shake_hands(member, other)
    assert [peer_of(each or b"", AUTHORITY_KEY).id for each in found] == [
        peer_id(public_key(seed)) for seed in (bytes([4]) * 32, MEMBER)
    ]
    stranger = identity(tmp_path, STRANGER, MEMBER)
    for pair in ((stranger, other), (other, stranger)):
        with pytest.raises(ssl.SSLCertVerificationError):
            shake_hands(*pair)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
def test_openssl_finds_nothing_wrong_with_it(tmp_path: Path) -> None:
    """Not even when it is strict about the standard; another authority's it refuses."""
    files = {"ca": authority_certificate(AUTHORITY), "other": authority_certificate(STRANGER)}
    files["leaf"] = issue(AUTHORITY, public_key(MEMBER), "node", now=1_700_000_000.0)
    for name, certificate in files.items():
        (tmp_path / f"{name}.pem").write_text(ssl.DER_cert_to_PEM_cert(certificate))
    for authority, status in (("ca", 0), ("other", 2)):
        command = ["openssl", "verify", "-x509_strict", "-CAfile", f"{authority}.pem", "leaf.pem"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stderr
