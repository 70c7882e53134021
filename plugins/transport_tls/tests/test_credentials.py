from __future__ import annotations

import os
import ssl
import stat
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from swarmgate.api import NodeId, WireError
from swarmgate.testing import a_swarm
from swarmgate_transport_tls.child import credentials
from swarmgate_transport_tls.child.credentials import KNOCK_BYTES, Credentials, read
from swarmgate_transport_tls.messages import Configure
from tls_pairs import ended_and_good


def test_a_knock_is_known_to_the_swarm_alone() -> None:
    """All members know a knock at their own door, which is never the same; others do not, nor when it is changed."""
    one, other, third = map(Credentials, a_swarm("owner", "worker", "node"))
    (stranger,) = map(Credentials, a_swarm("owner"))
    knock = one.knock(other.membership.id)
    assert len(knock) == KNOCK_BYTES
    assert knock != one.knock(other.membership.id)
    assert not third.is_knock(knock)
    assert other.is_knock(knock)
    assert not stranger.is_knock(knock)
    assert not other.is_knock(knock[:-1] + bytes((knock[-1] ^ 1,)))
    assert not other.is_knock(b"")


def test_a_seal_for_another_purpose_is_no_knock() -> None:
    """What is overheard elsewhere, such as in multicast, opens nothing."""
    one, _ = a_swarm()
    assert not Credentials(one).is_knock(one.seal(b"swarmgate tls 2", purpose=b"mdns"))


def test_tls_is_new_and_asks_for_certificates() -> None:
    """Both sides speak 1.3 alone, require a certificate, and trust one root."""
    one, _ = a_swarm()
    made = Credentials(one)
    for context in (made.client, made.server):
        assert context.minimum_version == ssl.TLSVersion.TLSv1_3
        assert context.verify_mode == ssl.CERT_REQUIRED
        assert context.verify_flags & ssl.VerifyFlags.VERIFY_X509_STRICT
        assert context.get_ca_certs(binary_form=True) == [one.authority]


def test_it_is_examined_who_is_there() -> None:
    """A member is who its certificate says, and must be who was expected."""
    one, other = a_swarm("owner", "node")
    made = Credentials(one)
    assert made.examine(other.certificate).id == other.id
    assert made.examine(other.certificate, expected=other.id).role == "node"
    with pytest.raises(WireError, match=f"it is {other.id}, expected {one.id}"):
        made.examine(other.certificate, expected=one.id)
    with pytest.raises(WireError, match="no certificate"):
        made.examine(None)


def test_the_rules_are_those_of_the_membership() -> None:
    """Revoked, ended, and of another swarm: refused, as everywhere."""
    ended, good = ended_and_good()
    with pytest.raises(WireError, match="ended"):
        Credentials(good).examine(ended.certificate)
    one, other = a_swarm()
    with pytest.raises(WireError, match="not of this swarm"):
        Credentials(one).examine(good.certificate)
    one.revocations.add(other.id)
    with pytest.raises(WireError, match="is revoked"):
        Credentials(one).examine(other.certificate)


def test_what_the_gateway_says_is_enough() -> None:
    """A child that was told who we are knocks, and refuses the revoked, as the gateway would."""
    one, other = a_swarm()
    said = Configure(
        one.key, one.certificate, one.authority, one.sealing, timeout_seconds=1, revoked=(NodeId(other.id),)
    )
    made = read(said)
    assert made.membership.id == one.id
    assert Credentials(other).is_knock(made.knock(NodeId(other.id)))
    with pytest.raises(WireError, match="is revoked"):
        made.examine(other.certificate)


def test_a_key_that_is_not_the_certificates_is_refused() -> None:
    """OpenSSL looks whether they fit together."""
    one, other = a_swarm()
    with pytest.raises(ssl.SSLError, match="KEY_VALUES_MISMATCH"):
        Credentials(replace(one, key=other.key))


@pytest.mark.parametrize("in_memory", [True, False])
def test_no_file_of_the_key_is_left(in_memory: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In memory where the system can; else in a file that only we may read, which is gone when it has been read."""
    seen: list[str] = []
    context = credentials._context  # pyright: ignore[reportPrivateUsage]  # to look at the file while it is there

    def watched(protocol: int, membership: object, file: str) -> ssl.SSLContext:
        seen.append(file)
        assert in_memory or stat.S_IMODE(Path(file).stat().st_mode) == 0o600
        return context(protocol, membership, file)  # type: ignore[arg-type]

    monkeypatch.setattr(credentials, "_context", watched)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if not in_memory:
        monkeypatch.delattr(os, "memfd_create")
    open_before = len(list(Path("/proc/self/fd").iterdir()))
    Credentials(a_swarm("owner")[0])
    assert len(list(Path("/proc/self/fd").iterdir())) == open_before
    assert all(file.startswith("/proc/self/fd/") == in_memory for file in seen)
    assert list(tmp_path.iterdir()) == []


def test_it_does_not_show_its_secrets() -> None:
    """Neither in a log nor in a traceback."""
    (one,) = a_swarm("owner")
    assert repr(Credentials(one)) == f"<Credentials of {one.id}>"
