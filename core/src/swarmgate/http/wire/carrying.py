"""What gateways tell one another beside OpenAI's fields, so that an answer can go on elsewhere.

Asked for by a header that ordinary clients do not send: then every event of a stream also says which
tokens it is the news of, and a request may say which tokens of its answer are out already.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from swarmgate.chat import Delta, ModelCard, Resume, Usage
from swarmgate.errors import RequestError, Unavailable
from swarmgate.http.wire.asked import Form
from swarmgate.http.wire.heading import encode
from swarmgate.http.wire.reading import INT32_MAX

#: The header that asks for tokens, with the value 1, in lower case.
TOKENS_HEADER = b"x-gateway-tokens"
#: Fields of a body that mean something only together with that header.
EXTENSIONS = ("resume",)
_END = b"}\n\n"
_LOWEST_SEED, _HIGHEST_SEED = -(2**63), 2**64 - 1


class ResumeBody(Struct, kw_only=True):
    """What of the answer is out: all its *token_ids*, drawn with *seed* by the weights of *fingerprint*."""

    token_ids: list[Annotated[int, Meta(ge=0, le=INT32_MAX)]]
    seed: int
    fingerprint: str = ""


class Told(Struct, kw_only=True):
    """The tokens an event is the news of, the seed in force where it is new, and the stop string that was met."""

    token_ids: list[int] | UnsetType = UNSET
    seed: int | UnsetType = UNSET
    stop: str | UnsetType = UNSET


def resume(raw: msgspec.Raw | UnsetType, card: ModelCard, *, answers: int) -> Resume | None:
    """Read the body's ``resume``, which asks the model of *card* to go on with one of *answers*.

    Raises:
        RequestError: it is malformed, or asks for several answers.
        Unavailable: the tokens were written by other weights.

    """
    if raw is UNSET or bytes(raw) == b"null":
        return None
    try:
        body = msgspec.json.decode(raw, type=ResumeBody)
    except msgspec.DecodeError as error:
        raise RequestError(f"resume: {error}", param="resume") from None
    if not _LOWEST_SEED <= body.seed <= _HIGHEST_SEED:
        raise RequestError(f"resume.seed: expected 64 bits, found {str(body.seed)[:40]}", param="resume.seed")
    if answers != 1:
        raise RequestError(f"resume: expected one answer to go on with, found {answers}; leave n out", param="resume")
    if body.fingerprint and body.fingerprint != card.fingerprint:
        raise Unavailable(
            f"the answer was begun by the weights {body.fingerprint[:12]}, and {card.name!r} here has"
            f" {card.fingerprint[:12] or 'none that are known'}"
        )
    return Resume(token_ids=tuple(body.token_ids), seed=body.seed)


class TokenEvents:
    """The events of *form*, each with its tokens; *blank* is an event without content, to be filled with an index.

    Text and its tokens stand in one event: whoever has one has both, wherever the stream is cut.
    """

    def __init__(self, form: Form, *, blank: bytes) -> None:
        self._form = form
        self._blank = blank

    @property
    def usage(self) -> Usage:
        """Return the tokens counted so far."""
        return self._form.usage

    def take(self, choice: int, delta: Delta) -> bytes:
        """Return the events for a piece; also for one that only has tokens."""
        events = self._form.take(choice, delta)
        if not delta.token_ids and delta.seed is None and not delta.stop:
            return events
        told = Told(
            token_ids=list(delta.token_ids) or UNSET,
            seed=UNSET if delta.seed is None else delta.seed,
            stop=delta.stop or UNSET,
        )
        events = events or self._blank % choice
        end = events.index(_END)  # of the first event: JSON holds no bare newline
        return b"%b,%b%b%b" % (events[:end], b'"gateway":', encode(told), events[end:])

    def close(self) -> bytes:
        """Return the end of the stream."""
        return self._form.close()
