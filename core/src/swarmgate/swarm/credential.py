"""What a member shows a gateway in the place of an API key.  Pure.

Format: ``sgm_`` and the base64url, without padding, of a MessagePack array of the member's certificate (DER), the peer
id of the gateway it is meant for, that gateway's *run*, and the member's Ed25519 signature of ``swarmgate member 1``, a
zero byte, the peer id, a zero byte and the run.

A gateway draws its run at its start and tells it in its offer.  It is no secret; it makes a credential worthless for
any other gateway, and after a restart, without anybody's clock.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from swarmgate.errors import WireError
from swarmgate.nouns import NodeId
from swarmgate.swarm.certificates import LARGEST as LARGEST_CERTIFICATE
from swarmgate.swarm.certificates import Peer
from swarmgate.swarm.keys import is_signed
from swarmgate.swarm.membership import Membership

PREFIX = "sgm_"
#: The label of a gateway's offer that says which run of it this is.
RUN = "run"
#: The longest credential that is read, in characters; an honest one has about 900.
LARGEST = 4096
#: Longer names of a run are nobody's, in characters.
LONGEST_RUN = 128
_CONTEXT = b"swarmgate member 1\0"
#: Who may ask: all but those who only lend.
_MAY_ASK = frozenset({"owner", "node", "viewer"})
#: So many credentials are remembered as genuine: the same peer shows the same one with every request.
_REMEMBERED = 256


class _Shown(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    certificate: bytes
    audience: str
    run: str
    signature: bytes


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Shown)


def credential(membership: Membership, audience: NodeId, run: str) -> str:
    """Return what this node shows the gateway *audience*, in its present *run*; it is a secret between the two."""
    signature = membership.sign(_signed(audience, run))
    data = _encoder.encode(_Shown(membership.certificate, audience, run, signature))
    return PREFIX + base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Examiner:
    """Examines what members show this node in its present *run*."""

    def __init__(self, membership: Membership, run: str) -> None:
        self._membership, self._run = membership, run
        self._genuine: dict[str, bytes] = {}

    def __repr__(self) -> str:
        return f"<Examiner of {self._membership.id}>"

    def examine(self, text: str) -> Peer:
        """Return whose credential *text* is; a revocation, or the end of a certificate, counts at once.

        Raises:
            WireError: it is no credential of a member that may ask, or meant for somebody else, or an earlier run.  The
                message does not repeat it.

        """
        known = self._genuine.get(text)
        peer = self._membership.examine(known) if known is not None else self._read(text)
        if peer.role not in _MAY_ASK:
            raise WireError(f"{peer.id} is a {peer.role}, which lends and does not ask")
        return peer

    def _read(self, text: str) -> Peer:
        shown = _decoded(text)
        if shown.audience != self._membership.id:
            raise WireError("a credential is meant for another gateway")
        if shown.run != self._run:
            raise WireError("a credential is meant for an earlier run of this gateway")
        peer = self._membership.examine(shown.certificate)
        if not is_signed(peer.public_key, shown.signature, _signed(shown.audience, shown.run)):
            raise WireError(f"a credential is not signed by {peer.id}, whose certificate it carries")
        while len(self._genuine) >= _REMEMBERED:
            del self._genuine[next(iter(self._genuine))]
        self._genuine[text] = shown.certificate
        return peer


def _decoded(text: str) -> _Shown:
    if len(text) > LARGEST:
        raise WireError(f"a credential of {len(text)} characters, expected no more than {LARGEST}")
    body = text.removeprefix(PREFIX)
    try:
        data = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        shown = _decoder.decode(data)
    except (binascii.Error, ValueError, msgspec.MsgspecError, RecursionError):
        raise WireError("a credential cannot be read") from None
    if not text.startswith(PREFIX) or len(shown.certificate) > LARGEST_CERTIFICATE or len(shown.run) > LONGEST_RUN:
        raise WireError("a credential cannot be read")
    return shown


def _signed(audience: str, run: str) -> bytes:
    return _CONTEXT + audience.encode() + b"\0" + run.encode()
