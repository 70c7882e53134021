from __future__ import annotations

import json
from typing import Any

import pytest
from swarmgate.api import ChatPrompt, Message, TokenizeRequest, Unsupported
from swarmgate_backend_openai.cutting import cut

pytestmark = pytest.mark.anyio

CHAT = TokenizeRequest(model="m", chat=ChatPrompt(messages=(Message(role="user", content="hi"),)))


class Server:
    """Answers at the paths it has, and notes what it was asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers = {path.replace("_", "-"): answer for path, answer in answers.items()}
        self.asked: list[tuple[str, dict[str, Any]]] = []

    async def ask(self, path: str, body: bytes) -> bytes:
        self.asked.append((path, json.loads(body)))
        answer = self.answers.get(path.removeprefix("/"))
        if answer is None:
            raise Unsupported("n answered 404")
        return json.dumps(answer(self.asked[-1][1]) if callable(answer) else answer).encode()


def letters(body: dict[str, Any]) -> dict[str, Any]:
    return {"tokens": [{"id": ord(letter), "piece": letter} for letter in body.get("content", "")]}


async def test_text_is_cut_as_it_stands() -> None:
    """Under the name that the model has there, with what is to be put around."""
    server = Server(tokenize=letters)
    request = TokenizeRequest(model="m", text="ab", add_special=True, special=False)
    tokens = await cut(request, "there", "n", server.ask, gateway=False)
    assert b"".join(token.data for token in tokens) == b"ab"
    body = {"model": "there", "content": "ab", "add_special": True, "parse_special": False, "with_pieces": True}
    assert server.asked == [("/tokenize", body)]


async def test_llama_server_lays_a_chat_out_first() -> None:
    """It says how the model reads the chat, and cuts that text with what goes before it."""
    server = Server(tokenize=letters, apply_template=lambda body: {"prompt": f"<{body['messages'][0]['content']}>"})
    tokens = await cut(CHAT, "there", "n", server.ask, gateway=False)
    assert b"".join(token.data for token in tokens) == b"<hi>"
    (first, _), (second, body) = server.asked
    assert (first, second) == ("/apply-template", "/tokenize")
    assert (body["content"], body["add_special"]) == ("<hi>", True)


async def test_vllm_cuts_a_chat_at_once() -> None:
    """It tells ids alone, and that is enough to count."""
    server = Server(tokenize={"tokens": [5, 6, 7], "count": 3})
    assert [token.id for token in await cut(CHAT, "there", "n", server.ask, gateway=False)] == [5, 6, 7]
    assert server.asked[-1][1]["messages"] == [{"role": "user", "content": "hi"}]


async def test_gateways_are_asked_once() -> None:
    """They understand vLLM's words, and have no template to give away."""
    server = Server(tokenize={"tokens": [{"id": 5, "piece": "a"}]})
    await cut(CHAT, "there", "n", server.ask, gateway=True)
    assert [path for path, _ in server.asked] == ["/tokenize"]


@pytest.mark.parametrize("answers", [{}, {"tokenize": {"tokens": []}}])
async def test_a_server_that_cannot_count_a_chat_says_so(answers: dict[str, Any]) -> None:
    """Or it is said for one that finds no tokens in a chat: it has not understood."""
    with pytest.raises(Unsupported):
        await cut(CHAT, "there", "n", Server(**answers).ask, gateway=False)
