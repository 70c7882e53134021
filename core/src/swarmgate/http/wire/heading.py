"""What the forms of an answer share: its heading, its token counts, and server-sent events."""

from __future__ import annotations

import msgspec

from swarmgate.chat import Delta, Usage

encode = msgspec.json.Encoder().encode

#: The end of every stream.
DONE = b"data: [DONE]\n\n"
#: A comment, which clients skip: it keeps proxies from giving up while nothing comes.
PING = b": ping\n\n"


class Heading(msgspec.Struct, frozen=True, kw_only=True):
    """What is the same in every chunk of a stream.  *fingerprint* is the weights'."""

    id: str
    created: int
    model: str
    fingerprint: str = ""

    @property
    def system_fingerprint(self) -> str | None:
        """Return OpenAI's word for what computed the answer: it changes when the weights do."""
        return f"fp_{self.fingerprint[:12]}" if self.fingerprint else None

    def opening(self, kind: str) -> bytes:
        """Return the front of an event of the object *kind*, ready for its choices."""
        fields = {"id": self.id, "object": kind, "created": self.created, "model": self.model}
        return b"data: " + encode({**fields, "system_fingerprint": self.system_fingerprint})[:-1] + b',"choices":['


class PromptDetails(msgspec.Struct, frozen=True, kw_only=True):
    """Of the prompt's tokens, those that needed no computing."""

    cached_tokens: int = 0


class UsageDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Token counts as clients read them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails


class Tally:
    """Adds up the tokens of several choices; a prompt that several share counts once."""

    def __init__(self, choices: int, *, per_prompt: int) -> None:
        self._per_prompt = per_prompt
        self._usages: list[Usage | None] = [None] * choices
        self._pieces = [0] * choices

    def take(self, choice: int, delta: Delta) -> None:
        """Count a piece of that choice."""
        self._pieces[choice] += len(delta.token_ids)
        if delta.usage is not None:
            self._usages[choice] = delta.usage

    @property
    def usage(self) -> Usage:
        """Return the sums; of choices not yet finished, the tokens seen."""
        prompt, cached, written = 0, 0, 0
        for first in range(0, len(self._usages), self._per_prompt):
            known = [usage for usage in self._usages[first : first + self._per_prompt] if usage is not None]
            prompt += max((usage.prompt_tokens for usage in known), default=0)
            cached += min((usage.cached_tokens for usage in known), default=0)
        for usage, seen in zip(self._usages, self._pieces, strict=True):
            written += usage.completion_tokens if usage is not None else seen
        return Usage(prompt_tokens=prompt, completion_tokens=written, cached_tokens=cached)


def usage_document(usage: Usage) -> UsageDocument:
    """Return *usage* as clients read it."""
    return UsageDocument(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        total_tokens=usage.prompt_tokens + usage.completion_tokens,
        prompt_tokens_details=PromptDetails(cached_tokens=usage.cached_tokens),
    )


def event(document: object) -> bytes:
    """Return *document* as a server-sent event."""
    return b"data: " + encode(document) + b"\n\n"
