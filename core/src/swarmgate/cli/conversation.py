"""A conversation at the terminal: what was said so far, and what a line that was typed means.  Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

#: What may be typed besides what is meant for the model, with what it does.
COMMANDS = {
    "/model": "talk to another model: /model NAME; without a name, list them",
    "/system": "begin anew with this as the system's message: /system TEXT; without a text, with none",
    "/retry": "have the last question answered again",
    "/clear": "forget what was said",
    "/help": "show this",
    "/quit": "leave; so does Ctrl-D",
}
_ALSO = {"/exit": "/quit", "/bye": "/quit", "/?": "/help"}


class Order(NamedTuple):
    """A command, as it was typed, and what stands after it."""

    name: str
    rest: str


def order_of(line: str) -> Order | None:
    """Return the command in *line*, None if it is meant for the model; two slashes mean a slash for the model."""
    if not line.startswith("/") or line.startswith("//"):
        return None
    name, _, rest = line.partition(" ")
    first, _, more = name.partition("\n")
    return Order(_ALSO.get(first, first), f"{more} {rest}".strip())


@dataclass(slots=True)
class Conversation:
    """What was said to *model* so far; *wishes* are fields of every request, such as ``max_tokens``."""

    model: str
    system: str = ""
    wishes: dict[str, Any] = field(default_factory=dict[str, Any])
    said: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def ask(self, text: str) -> dict[str, Any]:
        """Return the request that asks *text* after all that was said."""
        self.said.append(("user", text.removeprefix("/") if text.startswith("//") else text))
        before = [("system", self.system)] if self.system else []
        return {
            "model": self.model,
            "messages": [{"role": role, "content": content} for role, content in (*before, *self.said)],
            "stream": True,
            "stream_options": {"include_usage": True},
            **self.wishes,
        }

    def answered(self, text: str) -> None:
        """Keep the answer, also one that was stopped; a question that got none is forgotten."""
        if text:
            self.said.append(("assistant", text))
        elif self.said and self.said[-1][0] == "user":
            self.said.pop()

    def take_back(self) -> str:
        """Forget the last question and its answer; return the question, empty if there was none."""
        while self.said:
            role, content = self.said.pop()
            if role == "user":
                return f"/{content}" if content.startswith("/") else content
        return ""

    def clear(self) -> None:
        """Forget what was said, but not the system's message."""
        self.said.clear()
