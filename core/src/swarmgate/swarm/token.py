"""The texts that let a machine into a swarm: its token, and invites.  Pure, but for the dice of :meth:`Token.make`.

Format: ``sgt_`` (a token) or ``sgi_`` (an invite), then base58check (base58btc of the data and of the first four bytes
of its double SHA-256, as Bitcoin addresses have it) of one version byte and a deflated MessagePack array.  A mistyped
text is refused by its checksum.
"""

from __future__ import annotations

import secrets
import zlib
from typing import TypeVar

import base58
import msgspec

from swarmgate.errors import ConfigError
from swarmgate.swarm.keys import Secrets, derive

_VERSION = 1
_SECRET_BYTES = 32
#: The longest text that is looked at, and the most bytes it may unpack to.
_LONGEST, _UNPACKED = 8192, 8192
_TOKEN, _INVITE = "sgt_", "sgi_"
_REMEDY = "paste it whole, or have `gateway token show` print it again"

PassT = TypeVar("PassT", "Token", "Invite")


class Token(msgspec.Struct, frozen=True, array_like=True):
    """What whoever holds it may do everything with: 32 random bytes, and where to look for others first.

    *bootstrap* are libp2p multiaddresses, each with its ``/p2p/`` part.
    """

    secret: bytes
    bootstrap: tuple[str, ...] = ()

    @classmethod
    def make(cls, *, bootstrap: tuple[str, ...] = ()) -> Token:
        """Return a new token; its secret comes from the operating system's generator."""
        return cls(secrets.token_bytes(_SECRET_BYTES), bootstrap)

    def __repr__(self) -> str:
        return "<Token>"  # whatever is logged or raised with it

    @property
    def text(self) -> str:
        """Return the token as people paste it.  It is a secret."""
        return _TOKEN + _packed(self)

    @property
    def secrets(self) -> Secrets:
        """Return what the swarm's members have in common, among it the authority's key."""
        return derive(self.secret)


class Invite(msgspec.Struct, frozen=True, array_like=True):
    """A ready identity in a swarm, for one machine: it cannot let others in, and can be revoked by itself.

    *key* is the machine's Ed25519 seed, *certificate* what the authority signed for it, DER; *authority* is the
    authority's own certificate.  *rendezvous* and *sealing* are the swarm's secrets for finding and reading one
    another.
    """

    key: bytes
    certificate: bytes
    authority: bytes
    rendezvous: bytes
    sealing: bytes
    bootstrap: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "<Invite>"  # whatever is logged or raised with it

    @property
    def text(self) -> str:
        """Return the invite as people paste it.  It is a secret."""
        return _INVITE + _packed(self)


def read_pass(text: str) -> Token | Invite:
    """Return the token or invite that *text* is; blanks around it do not count.

    Raises:
        ConfigError: it is neither, or was mistyped or cut; the message never quotes it.

    """
    text = text.strip()
    if text.startswith(_TOKEN):
        token = _unpacked(text.removeprefix(_TOKEN), Token, "token")
        if len(token.secret) != _SECRET_BYTES:
            raise ConfigError(f"the token is damaged: {_REMEDY}")
        return token
    if text.startswith(_INVITE):
        invite = _unpacked(text.removeprefix(_INVITE), Invite, "invite")
        if any(len(key) != _SECRET_BYTES for key in (invite.key, invite.rendezvous, invite.sealing)):
            raise ConfigError(f"the invite is damaged: {_REMEDY}")
        return invite
    raise ConfigError(
        f"this is no token of ours: those begin with {_TOKEN} (or {_INVITE}, an invite); `gateway token new` makes one"
        " (tokens of LocalAI or EdgeVPN belong to their own networks)"
    )


def _packed(what: Token | Invite) -> str:
    data = bytes((_VERSION,)) + zlib.compress(msgspec.msgpack.encode(what), 9)
    return base58.b58encode_check(data).decode()


def _unpacked(text: str, kind: type[PassT], name: str) -> PassT:
    if len(text) > _LONGEST:
        raise ConfigError(f"the {name} is longer than any: {_REMEDY}")
    try:
        data = base58.b58decode_check(text)
    except ValueError:
        raise ConfigError(f"the {name} is mistyped or was cut (its checksum is wrong): {_REMEDY}") from None
    if not data or data[0] != _VERSION:
        raise ConfigError(f"the {name} is of another version of swarmgate than this one; use the same on all machines")
    unpacker = zlib.decompressobj()
    try:
        body = unpacker.decompress(data[1:], _UNPACKED)
        return msgspec.msgpack.decode(body, type=kind)
    except (zlib.error, msgspec.MsgspecError, ValueError):
        raise ConfigError(f"the {name} is damaged: {_REMEDY}") from None
