from __future__ import annotations

import time
import zlib

import base58
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.errors import ConfigError
from swarmgate.swarm.membership import invite
from swarmgate.swarm.token import Invite, Token, read_pass

SECRETS = st.binary(min_size=32, max_size=32)
BOOTSTRAPS = st.lists(st.text(max_size=60), max_size=4).map(tuple)
ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
TOKEN = Token(bytes(range(32)), ("/dns4/a.example/tcp/4001/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA",))
INVITE = invite(TOKEN, "worker", days=9, key=bytes(32), now=time.time())


def refused(text: str) -> str:
    """Return why *text* is refused; nothing of it that could be a secret is quoted."""
    with pytest.raises(ConfigError) as caught:
        read_pass(text)
    reason = str(caught.value)
    pieces = {text[at : at + 12] for at in range(4, max(len(text) - 12, 4), 6)}
    assert not [piece for piece in pieces if len(piece) == 12 and piece.isalnum() and piece in reason]
    return reason


@given(secret=SECRETS, bootstrap=BOOTSTRAPS)
def test_a_token_is_read_as_it_was_written(secret: bytes, bootstrap: tuple[str, ...]) -> None:
    """Blanks around it do not count; it begins so that people know it."""
    token = Token(secret, bootstrap)
    assert token.text.startswith("sgt_")
    assert read_pass(f"  {token.text}\n") == token


@given(parts=st.tuples(SECRETS, st.binary(max_size=700), st.binary(max_size=700), SECRETS, SECRETS), more=BOOTSTRAPS)
def test_an_invite_is_read_as_it_was_written(
    parts: tuple[bytes, bytes, bytes, bytes, bytes], more: tuple[str, ...]
) -> None:
    """Whether its certificates fit together is for the one who joins by it."""
    made = Invite(*parts, more)
    assert made.text.startswith("sgi_")
    assert read_pass(made.text) == made


def test_tokens_differ_and_are_short() -> None:
    """Each is new, and can be read out over a telephone if it must."""
    made = {Token.make().text for _ in range(50)}
    assert len(made) == 50
    assert max(map(len, made)) < 80


@given(data=st.data())
def test_one_wrong_letter_is_noticed(data: st.DataObject) -> None:
    """By the checksum, of a token and of an invite, wherever it is; what is left of it is not quoted."""
    text = data.draw(st.sampled_from((TOKEN.text, INVITE.text)))
    at = data.draw(st.integers(4, len(text) - 1))
    letter = data.draw(st.sampled_from(ALPHABET).filter(lambda each: each != text[at]))
    assert "is mistyped or was cut" in refused(text[:at] + letter + text[at + 1 :])


@given(end=st.integers(4, len(TOKEN.text) - 1))
def test_a_cut_text_is_noticed(end: int) -> None:
    """As when a terminal swallowed the rest."""
    assert "is mistyped or was cut" in refused(TOKEN.text[:end])


@given(text=st.text(max_size=300), head=st.sampled_from(("", "sgt_", "sgi_")))
def test_garbage_is_refused(text: str, head: str) -> None:
    """With an error that is meant for people, never another."""
    refused(head + text)


@given(data=st.binary(max_size=300), head=st.sampled_from(("sgt_", "sgi_")), version=st.sampled_from((b"", b"\x01")))
def test_garbage_with_a_right_checksum_is_refused(data: bytes, head: str, version: bytes) -> None:
    """Somebody may make a text that looks right and is not."""
    refused(head + base58.b58encode_check(version + data).decode())


@given(body=st.recursive(st.none() | st.integers() | st.binary(max_size=40) | st.text(), st.lists, max_leaves=12))
def test_only_what_has_the_form_of_one_is_one(body: object) -> None:
    """Well packed, but no array of a token's or an invite's parts."""
    try:
        packed = zlib.compress(msgspec.msgpack.encode(body))
    except OverflowError:
        return  # a number that MessagePack has no form for
    for head in ("sgt_", "sgi_"):
        refused(head + base58.b58encode_check(b"\x01" + packed).decode())


def test_what_unpacks_to_more_than_any_is_refused() -> None:
    """A hundred megabytes of zeros are not unpacked to be looked at."""
    bomb = zlib.compress(bytes(100 << 20), 9)[:5000]
    assert "damaged" in refused("sgt_" + base58.b58encode_check(b"\x01" + bomb).decode())
    assert "longer than any" in refused("sgt_" + "1" * 10_000)


@pytest.mark.parametrize(
    "made", [Token(b"short"), Invite(b"k", b"c", b"a", bytes(32), bytes(32)), Invite(bytes(32), b"c", b"a", b"r", b"s")]
)
def test_keys_of_another_length_are_refused(made: Token | Invite) -> None:
    """Before anybody computes with them."""
    assert "is damaged" in refused(made.text)


def test_other_networks_tokens_are_called_so() -> None:
    """Those who come from LocalAI learn that its tokens are of no use here, and versions that they differ."""
    assert "tokens of LocalAI or EdgeVPN belong to their own networks" in refused("b3RwOgogIGRodDoKICAgIGludGVydmFs")
    assert "of another version" in refused("sgt_" + base58.b58encode_check(b"\x02abc").decode())


def test_no_representation_shows_a_secret() -> None:
    """Neither alone nor inside of something."""
    for made in (TOKEN, INVITE):
        assert repr([made, {"x": made}]).count("<") == 2
        assert repr(made) in ("<Token>", "<Invite>")
        assert f"{made}" == repr(made)
    assert repr(TOKEN.secrets) == "<Secrets>"
