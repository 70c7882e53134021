from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swarmgate.api import WireError
from swarmgate_transport_libp2p.child import headers
from swarmgate_transport_libp2p.child.headers import ANSWER_BYTES, QUESTION_BYTES, Question


@pytest.mark.parametrize("question", [Question("gateway", carries=True), Question("llama-rpc.2", carries=False)])
def test_a_question_is_read_as_asked(question: Question) -> None:
    """The service and the purpose arrive."""
    data = headers.ask(question)
    assert headers.question_length(data[:QUESTION_BYTES]) == len(data) - QUESTION_BYTES
    assert headers.read_question(data[:QUESTION_BYTES], data[QUESTION_BYTES:]) == question


@pytest.mark.parametrize("reason", ["", "it does not offer gateway", "ö" * 300])
def test_an_answer_is_read_as_given(reason: str) -> None:
    """A yes is empty, and a no has its reason, cut where it is too long."""
    data = headers.answer(reason)
    said = headers.read_answer(data[:ANSWER_BYTES], data[ANSWER_BYTES:])
    assert data[1] == len(data) - ANSWER_BYTES
    assert said[:100] == reason[:100]
    assert bool(said) == bool(reason)


def test_a_no_without_a_reason_is_a_no() -> None:
    """It cannot be taken for a yes."""
    assert headers.read_answer(b"\x01\x00", b"") == "refused"


def test_a_reason_is_fit_for_a_log() -> None:
    """What a peer says stays on one line and moves no cursor."""
    assert headers.read_answer(b"\x01\x07", b"a\nb\x1b[2J") == "a?b?[2J"


@given(st.binary(min_size=3, max_size=3), st.binary(max_size=70))
def test_garbage_raises_wire_errors_alone(head: bytes, rest: bytes) -> None:
    """Whatever a peer sends, reading it raises nothing else."""
    for attempt in (
        lambda: headers.question_length(head),
        lambda: headers.read_question(head, rest),
        lambda: headers.read_answer(head[:2], rest),
    ):
        try:
            attempt()
        except WireError:
            continue
