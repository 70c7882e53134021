from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.api import WireError
from swarmgate.testing import a_swarm
from swarmgate_transport_libp2p.addresses import MOST_HINTS
from swarmgate_transport_libp2p.child import hello

ONE, OTHER = a_swarm("owner", "worker")
(STRANGER,) = a_swarm("owner")


def body_of(data: bytes) -> bytes:
    assert hello.length(data[: hello.HEAD_BYTES]) == len(data) - hello.HEAD_BYTES
    return data[hello.HEAD_BYTES :]


def test_members_know_one_another() -> None:
    """Whoever says hello over its own connection is known, and where it can be dialled."""
    said = hello.write(OTHER, ["/ip4/10.0.0.5/tcp/1", "nonsense"], relays=True)
    shown = hello.read(ONE, body_of(said), OTHER.id)
    assert shown == hello.Shown(OTHER.certificate, ("/ip4/10.0.0.5/tcp/1",), relays=True)


def test_the_longest_hello_has_room() -> None:
    """As many addresses as anybody may have, each as long as it may be, can be shown."""
    long = [f"/dns4/{'x' * 230}/tcp/{port}" for port in range(100)]
    shown = hello.read(ONE, body_of(hello.write(OTHER, long)), OTHER.id)
    assert len(shown.addresses) == MOST_HINTS


def test_members_too_can_send_nonsense() -> None:
    """What is sealed by a member and is no hello is refused like anything else."""
    for body in (b"", b"\xc1", b"\x91\x01", b"\x92\xc4\x00\x01"):
        with pytest.raises(WireError):
            hello.read(ONE, OTHER.seal(body, purpose=b"hello"), OTHER.id)


def test_nothing_of_it_can_be_read_without_the_token() -> None:
    """The certificate does not appear in it, nor two hellos alike: who listens cannot tell the swarm."""
    data = hello.write(ONE)
    assert ONE.certificate not in data
    assert ONE.id.encode() not in data
    assert hello.write(ONE) != data


def test_another_swarm_is_refused() -> None:
    """A stranger's hello is not even unsealed."""
    with pytest.raises(WireError, match="not of this swarm"):
        hello.read(ONE, body_of(hello.write(STRANGER)), STRANGER.id)


def test_a_copied_hello_is_refused() -> None:
    """Over the connection of anybody else than its writer it counts for nothing."""
    with pytest.raises(WireError, match="shows the certificate of"):
        hello.read(ONE, body_of(hello.write(OTHER)), ONE.id)


def test_the_revoked_are_refused() -> None:
    """Whoever is revoked keeps the token's keys, and is no member all the same."""
    one, other = a_swarm("owner", "node")
    one.revocations.add(other.id)
    with pytest.raises(WireError, match="is revoked"):
        hello.read(one, body_of(hello.write(other)), other.id)


def test_another_version_is_refused_and_named() -> None:
    """The message says what to do."""
    with pytest.raises(WireError, match="version 2, expected 1"):
        hello.length(b"\x02\x00\x10")


@pytest.mark.parametrize("head", [b"\x01\x00\x00", b"\x01\xff\xff", b"\x01\x20\x01"])
def test_a_length_out_of_all_proportion_is_refused(head: bytes) -> None:
    """Nothing is read for a hello that announces none, or too much."""
    with pytest.raises(WireError, match="announces"):
        hello.length(head)


@given(st.binary(min_size=hello.HEAD_BYTES, max_size=hello.HEAD_BYTES), st.binary(max_size=500))
def test_garbage_raises_wire_errors_alone(head: bytes, body: bytes) -> None:
    """Whatever a stranger sends, reading it raises nothing else."""
    with pytest.raises(WireError):
        hello.read(ONE, body, OTHER.id)
    with suppress(WireError):
        assert 0 < hello.length(head) <= hello.LARGEST
