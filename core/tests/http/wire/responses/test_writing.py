from __future__ import annotations

import msgspec
import pytest
from swarmgate.chat import TokenLogprob
from swarmgate.http.wire.chat_documents import chat_logprobs
from swarmgate.http.wire.responses.events import OutputTextDelta, sent
from swarmgate.http.wire.responses.writing import Call, Message, Numbers, Thoughts

ENTRY = TokenLogprob(id=1, data=b"x", logprob=-0.5)


@pytest.mark.parametrize("name", ["msg_1", 'a"b', "%d"])
@pytest.mark.parametrize("text", ["x", '"delta":""', "%d\n\u2028", "é\ud7ff"])
def test_a_piece_of_text_is_encoded_as_any_other_event(name: str, text: str) -> None:
    """What is encoded once, at the beginning, and the rest make what the event's own encoding makes."""
    numbers = Numbers()
    message = Message(name, 3, numbers)
    logprobs = chat_logprobs((ENTRY,))
    assert logprobs is not None
    for number, told in enumerate(([], logprobs.content)):
        message.note((ENTRY,) if told else ())
        whole = OutputTextDelta(
            sequence_number=number, item_id=name, output_index=3, content_index=0, delta=text, logprobs=told
        )
        assert message.add(text) == sent(whole)


def test_what_has_ended_keeps_its_status() -> None:
    """Whatever becomes of the response after it."""
    message = Message("msg_1", 0, Numbers())
    message.add("x")
    assert message.item("incomplete").status == "incomplete"
    message.end("completed")
    assert message.item("incomplete").status == "completed"


def test_each_kind_says_what_it_is() -> None:
    """Text, thoughts and calls, with what was written of them."""
    numbers = Numbers()
    thoughts, call = Thoughts("rs_1", 0, numbers), Call("fc_1", 1, numbers)
    call.call_id, call.function = "c", "look"
    for item in (thoughts, call):
        item.begin()
        item.add("{")
        item.add("}")
    told = msgspec.to_builtins([item.item("completed") for item in (thoughts, call)])
    assert told[0]["content"] == [{"type": "reasoning_text", "text": "{}"}]
    assert (told[1]["call_id"], told[1]["name"], told[1]["arguments"]) == ("c", "look", "{}")
