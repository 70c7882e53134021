from __future__ import annotations

from swarmgate.api import FrameSplitter, encode_frame
from swarmgate_transport_libp2p.messages import Begin, FromChild, Published, Reach, ToChild

BEGIN = Begin(
    key=b"the key",
    certificate=b"c",
    authority=b"a",
    rendezvous=b"the rendezvous",
    sealing=b"the sealing",
    revoked=(),
    listen=("/ip4/0.0.0.0/tcp/0",),
)


def test_frames_cross_a_pipe() -> None:
    """What one side says is what the other side reads, bytes and all."""
    reach = Reach(1, "peer", "gateway", ("/ip4/10.0.0.5/tcp/1",))
    assert list(FrameSplitter[ToChild](ToChild).feed(encode_frame(BEGIN) + encode_frame(reach))) == [BEGIN, reach]
    heard = Published(bytes(range(256)))
    assert list(FrameSplitter[FromChild](FromChild).feed(encode_frame(heard))) == [heard]


def test_the_secrets_do_not_show() -> None:
    """Whatever is logged or raised with the first frame, its keys are not in it."""
    assert repr(BEGIN) == str(BEGIN) == "<Begin>"
