"""Certificates: the authority's word that a key belongs to the swarm, and in which role.  Pure.

Format: X.509 version 3 with Ed25519 signatures (RFC 8410), so that OpenSSL can check them.  The authority's own
certificate is the same, byte for byte, whoever derives it from the token.  A member's has its peer id as common name
and its role as organizational unit.
"""

from __future__ import annotations

import datetime as dt
import secrets
from typing import TYPE_CHECKING, Literal, cast, get_args

from swarmgate.errors import WireError
from swarmgate.nouns import NodeId, Word
from swarmgate.swarm.keys import public_key
from swarmgate.swarm.peerids import peer_id

if TYPE_CHECKING:
    from cryptography import x509

#: What a member may do: an ``owner`` holds the token itself, and may do what a node may; a ``node`` offers and uses
#: everything; a ``worker`` lends compute; a ``viewer`` uses what others offer.
Role = Literal["owner", "node", "worker", "viewer"]
#: No certificate that we read is longer, in bytes.
LARGEST = 2048
_AUTHORITY_SERIAL = 1
_SERIAL_BITS = 127
#: What stands between the signed part and the signature, DER: Ed25519 (RFC 8410, 3), and a bit string of 64 bytes.
_ED25519_SIGNATURE = bytes.fromhex("300506032b6570034100")
_BEGIN = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
#: RFC 5280, 4.1.2.5: for what has no well-defined end.
_NEVER = dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC)
#: Clocks of different machines need not agree: a certificate is good from a day before it was made.
_BACKDATED = dt.timedelta(days=1)


class Peer(Word, frozen=True):
    """Who a certificate is about; *until* is when it ends, in Unix seconds, *serial* tells it from others."""

    id: NodeId
    role: Role
    public_key: bytes
    serial: int
    until: float


def authority_certificate(seed: bytes) -> bytes:
    """Return the certificate, DER, of the authority whose Ed25519 key *seed* is."""
    name = _authority_name(seed)
    return _der(_builder(seed, public_key(seed), name, _AUTHORITY_SERIAL, _BEGIN, _NEVER, ca=True), seed)


def issue(authority: bytes, key: bytes, role: Role, *, now: float, days: float | None = None) -> bytes:
    """Return a certificate, DER, of the public *key* (32 bytes) by the *authority* (a seed).

    It is good from a day before *now*, in Unix seconds, and for *days*; without end if that is None.
    """
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    made = dt.datetime.fromtimestamp(now, dt.UTC).replace(microsecond=0)
    end = _NEVER if days is None else made + dt.timedelta(days=days)
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, role),
            x509.NameAttribute(NameOID.COMMON_NAME, peer_id(key)),
        ]
    )
    begin = max(made - _BACKDATED, _BEGIN)
    return _der(_builder(authority, key, name, secrets.randbits(_SERIAL_BITS) | 1, begin, end, ca=False), authority)


def examine(certificate: bytes, authority: bytes, *, now: float) -> Peer:
    """Return whom *certificate*, DER, is about; *authority* is the public key, 32 bytes, that must have signed it.

    Raises:
        WireError: it is no certificate, not of this swarm, not good at *now*, or says what does not fit together.

    """
    peer, begin = _read(certificate, authority)
    if not begin <= now <= peer.until:
        how = "ended" if now > peer.until else "begins later; compare the clocks of the two machines"
        raise WireError(f"the certificate of {peer.id} {how}")
    return peer


def peer_of(certificate: bytes, authority: bytes) -> Peer:
    """Return whom *certificate* is about, as :func:`examine` does, whether or not it has ended.

    Raises:
        WireError: it is no certificate, not of this swarm, or says what does not fit together.

    """
    return _read(certificate, authority)[0]


def _read(certificate: bytes, authority: bytes) -> tuple[Peer, float]:
    """Return whom *certificate* is about, and when it begins."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.x509.oid import NameOID

    if len(certificate) > LARGEST:
        raise WireError(f"a certificate of {len(certificate)} bytes, expected no more than {LARGEST}")
    try:
        read = x509.load_der_x509_certificate(certificate)
        key = read.public_key()
    except Exception as error:  # noqa: BLE001  # whatever a parser of other people's bytes raises
        raise WireError(f"a certificate cannot be read: {error}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise WireError("a certificate is about no Ed25519 key")
    raw = key.public_bytes_raw()
    if not _by(certificate, read, authority):
        raise WireError("a certificate is not of this swarm's authority: is the token the same on both sides?")
    names = {attribute.oid: str(attribute.value) for attribute in read.subject}  # with warnings, were they a stranger's
    role, peer = names.get(NameOID.ORGANIZATIONAL_UNIT_NAME, ""), peer_id(raw)
    if names.get(NameOID.COMMON_NAME) != peer or role not in get_args(Role):
        raise WireError("a certificate says who it is about in another way than this version understands")
    begin, end = read.not_valid_before_utc.timestamp(), read.not_valid_after_utc.timestamp()
    about = Peer(id=peer, role=cast("Role", role), public_key=raw, serial=read.serial_number, until=end)
    return about, begin


def authority_key(certificate: bytes) -> bytes:
    """Return the public key, 32 bytes, of an authority's *certificate*, DER.

    Raises:
        WireError: it is no certificate of an Ed25519 key that signed itself.

    """
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        read = x509.load_der_x509_certificate(certificate)
        key = read.public_key()
    except Exception as error:  # noqa: BLE001  # whatever a parser of other people's bytes raises
        raise WireError(f"a certificate cannot be read: {error}") from None
    if not isinstance(key, Ed25519PublicKey) or not _by(certificate, read, key.public_bytes_raw()):
        raise WireError("an authority's certificate is not signed by itself")
    return key.public_bytes_raw()


def _by(der: bytes, read: x509.Certificate, authority: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    # what stands outside of the signed part is not signed: were it free, a stranger could make other bytes of one
    if not der.endswith(read.tbs_certificate_bytes + _ED25519_SIGNATURE + read.signature):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(authority).verify(read.signature, read.tbs_certificate_bytes)
    except (InvalidSignature, ValueError):
        return False
    return True


def _authority_name(seed: bytes) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"swarm {peer_id(public_key(seed))}")])


def _builder(  # what a certificate says
    authority: bytes,
    key: bytes,
    name: x509.Name,
    serial: int,
    begin: dt.datetime,
    end: dt.datetime,
    *,
    ca: bool,
) -> x509.CertificateBuilder:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    subject = Ed25519PublicKey.from_public_bytes(key)
    issuer = Ed25519PublicKey.from_public_bytes(public_key(authority))
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(_authority_name(authority))
        .public_key(subject)
        .serial_number(serial)
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=0 if ca else None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=not ca,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=ca,
                crl_sign=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(subject), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False)
    )


def _der(builder: x509.CertificateBuilder, seed: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding

    # Ed25519 signs without dice (RFC 8032), so that the same words give the same bytes
    return builder.sign(Ed25519PrivateKey.from_private_bytes(seed), None).public_bytes(Encoding.DER)
