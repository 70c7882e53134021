from __future__ import annotations

import base64
import secrets
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.errors import WireError
from swarmgate.nouns import NodeId
from swarmgate.swarm.credential import LARGEST, PREFIX, Examiner, credential
from swarmgate.swarm.membership import Membership, invite, join
from swarmgate.swarm.token import Token
from swarmgate.testing import a_swarm

GATEWAY, OWNER, NODE, VIEWER, WORKER = a_swarm("node", "owner", "node", "viewer", "worker")
RUN = "0123456789abcdef"


def examiner(run: str = RUN) -> Examiner:
    return Examiner(GATEWAY, run)


def body(text: str) -> list[object]:
    data = text.removeprefix(PREFIX)
    found: list[object] = msgspec.msgpack.decode(base64.urlsafe_b64decode(data + "=" * (-len(data) % 4)))
    return found


def worded(parts: object) -> str:
    return PREFIX + base64.urlsafe_b64encode(msgspec.msgpack.encode(parts)).rstrip(b"=").decode()


@pytest.mark.parametrize("member", [OWNER, NODE, VIEWER])
def test_members_may_ask(member: Membership) -> None:
    """Whoever is no mere worker gets in, as who it is, as often as it likes."""
    checks, shown = examiner(), credential(member, GATEWAY.id, RUN)
    for _ in range(2):
        assert checks.examine(shown).id == member.id
    assert shown.startswith("sgm_")
    assert len(shown) < LARGEST / 2
    assert repr(checks) == f"<Examiner of {GATEWAY.id}>"


def test_a_worker_may_not() -> None:
    """It lends; that is no reason to let it use what others have."""
    checks = examiner()
    for _ in range(2):
        with pytest.raises(WireError, match=r"is a worker, which lends and does not ask"):
            checks.examine(credential(WORKER, GATEWAY.id, RUN))


def test_a_credential_is_good_for_one_gateway_and_one_run_of_it() -> None:
    """What was shown to one gateway opens no other, and nothing after a restart."""
    shown = credential(NODE, GATEWAY.id, RUN)
    with pytest.raises(WireError, match="meant for another gateway"):
        Examiner(OWNER, RUN).examine(shown)
    with pytest.raises(WireError, match="meant for an earlier run"):
        examiner("another").examine(shown)


def test_who_is_revoked_is_out_at_once() -> None:
    """Also one whose credential was found good a moment ago; one whose certificate has ended, too."""
    token = Token.make()
    gateway = join(token, secrets.token_bytes(32))
    now = time.time()  # certificates end by the calendar
    guest = join(invite(token, "viewer", days=1, key=secrets.token_bytes(32), now=now), b"")
    checks, shown = Examiner(gateway, RUN), credential(guest, gateway.id, RUN)
    assert checks.examine(shown).id == guest.id
    object.__setattr__(gateway, "clock", lambda: now + 3 * 86400)
    with pytest.raises(WireError, match="ended"):
        checks.examine(shown)
    object.__setattr__(gateway, "clock", lambda: now)
    gateway.revocations.add(guest.id)
    with pytest.raises(WireError, match="is revoked"):
        checks.examine(shown)


def test_another_swarm_s_members_are_strangers() -> None:
    """A certificate by another authority is none, whatever else fits."""
    (stranger,) = a_swarm("owner")
    with pytest.raises(WireError, match="not of this swarm's authority"):
        examiner().examine(credential(stranger, GATEWAY.id, RUN))


def test_a_certificate_is_not_enough() -> None:
    """Certificates are no secrets: who has not its key cannot sign, nor turn a credential to another use."""
    certificate, _, _, signature = body(credential(NODE, GATEWAY.id, RUN))
    mine = VIEWER.sign(b"swarmgate member 1\0" + GATEWAY.id.encode() + b"\0" + RUN.encode())
    for forged in (mine, bytes(64), b"", signature):
        audience = GATEWAY.id if forged is not signature else OWNER.id
        checks = Examiner(OWNER, RUN) if forged is signature else examiner()
        with pytest.raises(WireError, match="is not signed by"):
            checks.examine(worded([certificate, audience, RUN, forged]))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sgm_",
        "sgm_A",
        "sgm_ä",
        "sgm_" + "A" * LARGEST,
        worded([]),
        worded({}),
        worded([b"", "", "", b"", b""]),
        worded([bytes(3000), GATEWAY.id, RUN, bytes(64)]),
        worded([b"", GATEWAY.id, "r" * 200, b""]),
        credential(NODE, GATEWAY.id, RUN).removeprefix("sgm_"),
    ],
)
def test_garbage_is_refused_without_being_repeated(text: str) -> None:
    """The message says what is wrong, and shows nothing of what was sent."""
    with pytest.raises(WireError) as caught:
        examiner().examine(text)
    assert not text or text not in str(caught.value)


@given(st.data())
def test_what_was_changed_is_refused(data: st.DataObject) -> None:
    """Any change of any byte makes it worthless, and never anything but the declared error."""
    raw = bytearray(base64.urlsafe_b64decode(_padded(credential(NODE, GATEWAY.id, RUN))))
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    changed = PREFIX + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    with pytest.raises(WireError):
        examiner().examine(changed)


@given(st.text() | st.binary().map(lambda data: PREFIX + base64.urlsafe_b64encode(data).decode()))
def test_nothing_but_the_declared_error(text: str) -> None:
    """Whatever is shown."""
    with pytest.raises(WireError):
        examiner().examine(text)


def test_what_is_remembered_is_bounded() -> None:
    """Very many good credentials leave room for as many as are remembered, and all stay good."""
    token = Token.make()
    gateway, checks = join(token, bytes(32)), None
    checks = Examiner(gateway, RUN)
    first = credential(gateway, gateway.id, RUN)
    checks.examine(first)
    for number in range(1, 300):
        checks.examine(credential(join(token, number.to_bytes(32, "big")), gateway.id, RUN))
    assert len(checks._genuine) == 256
    assert checks.examine(first).id == gateway.id


def test_it_names_whom_it_is_for() -> None:
    """The same node shows each gateway, and each of its runs, something else."""
    shown = {credential(NODE, NodeId(audience), run) for audience in (GATEWAY.id, OWNER.id) for run in (RUN, "another")}
    assert len(shown) == 4


def _padded(text: str) -> str:
    data = text.removeprefix(PREFIX)
    return data + "=" * (-len(data) % 4)
