"""What of an answer is out already, so that another engine can go on after it.  Pure."""

from __future__ import annotations

import msgspec

from swarmgate.chat import Delta, GenerateRequest, Resume
from swarmgate.places import Place

_NO_NEWS = Delta()


class Transcript:
    """Notes an answer as it passes, from however many engines."""

    def __init__(self, request: GenerateRequest) -> None:
        self._request = request
        self._ids: list[int] = list(request.resume.token_ids) if request.resume else []
        self._seed = request.resume.seed if request.resume else request.sampling.seed
        self._author: Place | None = None
        self._complete = True
        self._resumed = False
        self.begun = False
        self.finished = False

    def __repr__(self) -> str:
        return f"<Transcript of {self._request.id}: {len(self._ids)} tokens>"

    def request_for(self, place: Place) -> GenerateRequest:
        """Return what to ask of *place*: the whole answer, or the rest of it."""
        asked = msgspec.structs.replace(self._request, model=place.card.name)
        if not self.begun:
            self._author = place
            return asked
        self._resumed = True
        return msgspec.structs.replace(asked, resume=Resume(token_ids=tuple(self._ids), seed=self._seed or 0))

    def written_by(self, place: Place) -> None:
        """Note that of those that were asked for the whole answer *place* is writing it."""
        self._author = place

    def accepts(self, place: Place) -> bool:
        """Return whether *place* can go on: anyone at first, later only one with the same weights."""
        if not self.begun or self._author is None:
            return True
        if not self.resumable:
            return False
        fingerprint = self._author.card.fingerprint
        if place.name == self._author.name and (not place.health.ready or not fingerprint):
            return True  # while it loads its card may say nothing yet
        return bool(fingerprint) and place.card.fingerprint == fingerprint

    @property
    def resumable(self) -> bool:
        """Return whether all that is out is known by its tokens, and the seed of the draw is known."""
        return self._complete and (self._seed is not None or self._request.sampling.temperature == 0)

    def take(self, delta: Delta) -> Delta | None:
        """Note *delta*; return it as the caller shall see it, or None if it holds no news."""
        if self._resumed and delta.seed is not None:
            delta = msgspec.structs.replace(delta, seed=None)
        elif delta.seed is not None:
            self._seed = delta.seed
        self._ids += delta.token_ids
        said = bool(delta.text or delta.reasoning or delta.tool_calls)
        if said and not self._ids:
            self._complete = False  # text without tokens, as plain HTTP servers send it
        self.begun = self.begun or said or bool(delta.token_ids)
        if delta.finish is not None:
            self.finished = True
            if self._resumed and delta.usage is not None:
                whole = max(delta.usage.completion_tokens, len(self._ids))
                delta = msgspec.structs.replace(
                    delta, usage=msgspec.structs.replace(delta.usage, completion_tokens=whole)
                )
        return delta if delta != _NO_NEWS else None
