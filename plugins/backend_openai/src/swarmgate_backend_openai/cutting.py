"""Has text and chats cut into tokens by a server, in whichever way it can."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from swarmgate.api import Token, TokenizeRequest, Unsupported

from swarmgate_backend_openai.asking import layout_wanted
from swarmgate_backend_openai.documents import read_text, read_tokens

#: Posts a body to a path, and returns what is answered.
Ask = Callable[[str, bytes], Awaitable[bytes]]
_CUT, _LAY_OUT = "/tokenize", "/apply-template"


async def cut(request: TokenizeRequest, model: str, who: str, ask: Ask, *, gateway: bool) -> tuple[Token, ...]:
    """Have *who* cut the text or the chat of *request* for *model*, as it is called there.

    Gateways and vLLM cut a chat at once.  llama-server lays it out first: its own way to cut would say that a chat has
    no tokens.

    Raises:
        Unsupported: it cannot do that.

    """
    if request.chat is None:
        return await _cut_text(request, model, who, ask)
    asked = layout_wanted(request.chat, model)
    if not gateway:
        try:
            text = read_text(who, await ask(_LAY_OUT, asked)).decode("utf-8", "replace")
        except Unsupported:
            pass
        else:
            return await _cut_text(TokenizeRequest(model=model, text=text, add_special=True), model, who, ask)
    tokens = read_tokens(who, await ask(_CUT, asked), bare=True)
    if not tokens:
        raise Unsupported(f"{who} does not say how many tokens a chat has")
    return tokens


async def _cut_text(request: TokenizeRequest, model: str, who: str, ask: Ask) -> tuple[Token, ...]:
    body = {
        "model": model,
        "content": request.text,
        "add_special": request.add_special,
        "parse_special": request.special,
        "with_pieces": True,
    }
    return read_tokens(who, await ask(_CUT, msgspec.json.encode(body)))
