"""One backend's try at a request, while it lasts."""

from __future__ import annotations

from dataclasses import dataclass

import anyio

from swarmgate.chat import Delta
from swarmgate.tallies import Entry, Tallies


@dataclass(slots=True)
class Attempt:
    """One backend's try at a request; once *finished*, a failure changes nothing for the caller.

    One that *lost* was silent for so long that another was asked beside it, and that one spoke first.
    """

    tallies: Tallies
    entry: Entry
    finished: bool = False
    lost: bool = False

    def note(self, delta: Delta) -> None:
        """Count what has come; the first token or text says that the prompt has been read."""
        said = len(delta.token_ids) or bool(delta.text or delta.reasoning or delta.tool_calls)
        if said and not self.entry.count(said):
            self.tallies.wrote(self.entry, said, anyio.current_time())
        if delta.finish is not None:
            self.entry.length = (delta.usage.completion_tokens if delta.usage else 0) or self.entry.written

    def answered(self) -> None:
        """Count the prompt as read: the answer has come in one piece."""
        self.tallies.read(self.entry, anyio.current_time())
