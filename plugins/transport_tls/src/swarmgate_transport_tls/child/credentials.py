"""Shows who we are, and checks who others are: the key and certificates as OpenSSL wants them."""

from __future__ import annotations

import os
import ssl
import tempfile
from base64 import encodebytes
from collections.abc import Generator
from contextlib import contextmanager

from swarmgate.api import Membership, NodeId, Peer, Revocations, WireError

from swarmgate_transport_tls.messages import Configure

#: What is sealed for a knock; the seal adds a nonce and a tag, so that it looks like nothing and is never the same.
_KNOCK = b"swarmgate tls 2"
KNOCK_BYTES = 12 + len(_KNOCK) + 16
#: RFC 8410, 7: PKCS #8 of an Ed25519 seed, up to the seed's 32 bytes.
_PKCS8 = bytes.fromhex("302e020100300506032b657004220420")


class Credentials:
    """One node's place in its swarm, for TLS.

    *client* and *server* speak TLS 1.3 and nothing older, present our certificate and trust the swarm's authority
    alone.
    """

    def __init__(self, membership: Membership) -> None:
        self.membership = membership
        with _key_file(membership) as file:
            self.client = _context(ssl.PROTOCOL_TLS_CLIENT, membership, file)
            self.server = _context(ssl.PROTOCOL_TLS_SERVER, membership, file)
        self.server.num_tickets = 0  # everybody is examined each time

    def __repr__(self) -> str:
        return f"<Credentials of {self.membership.id}>"

    def knock(self, peer: NodeId) -> bytes:
        """Return what shows to *peer*, before anything is said, that one holds the swarm's token or an invite."""
        return self.membership.seal(_KNOCK, purpose=_purpose(peer))

    def is_knock(self, data: bytes) -> bool:
        """Return whether *data*, :data:`KNOCK_BYTES` long, comes from somebody of this swarm, and is meant for us."""
        try:
            return self.membership.unseal(data, purpose=_purpose(self.membership.id)) == _KNOCK
        except WireError:
            return False

    def examine(self, certificate: bytes | None, *, expected: NodeId | None = None) -> Peer:
        """Return who a connection's other side is.

        Raises:
            WireError: it is no member, its certificate has ended or is revoked, or it is not who was *expected*.

        """
        if certificate is None:
            raise WireError("it shows no certificate")
        peer = self.membership.examine(certificate)
        if expected is not None and peer.id != expected:
            raise WireError(f"it is {peer.id}, expected {expected}")
        return peer


def _purpose(peer: NodeId) -> bytes:
    """Return what a knock at *peer* is sealed for: overheard there, it must open no other member's door."""
    return b"tls " + peer.encode()


def read(said: Configure) -> Credentials:
    """Return the credentials that the gateway *said* we have."""
    revocations = Revocations(said.revoked)
    membership = Membership(said.key, said.certificate, said.authority, b"", said.sealing, (), revocations)
    return Credentials(membership)


def _context(protocol: int, membership: Membership, file: str) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # peers are known by their key, wherever they are
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    context.load_verify_locations(cadata=membership.authority)
    context.load_cert_chain(file)
    return context


@contextmanager
def _key_file(membership: Membership) -> Generator[str]:
    """Hold a file with our key and certificate, for Python's ssl reads nothing else: in memory where the system can."""
    text = _pem(_PKCS8 + membership.key, "PRIVATE KEY") + _pem(membership.certificate, "CERTIFICATE")
    if hasattr(os, "memfd_create"):
        handle = os.memfd_create("key", os.MFD_CLOEXEC)
        try:
            os.write(handle, text)
            yield f"/proc/self/fd/{handle}"
        finally:
            os.close(handle)
        return
    with tempfile.TemporaryDirectory() as folder:  # 0700
        path = os.path.join(folder, "key")  # noqa: PTH118  # a path for OpenSSL
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(handle, text)
        finally:
            os.close(handle)
        yield path


def _pem(der: bytes, kind: str) -> bytes:
    return f"-----BEGIN {kind}-----\n".encode() + encodebytes(der) + f"-----END {kind}-----\n".encode()
