"""``options``: how tokens are drawn, and how many.  Pure."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from swarmgate.chat import ResponseFormat, Sampling
from swarmgate.errors import RequestError
from swarmgate.http.wire.reading import INT32_MAX, INT64_MAX, Body, provided
from swarmgate.http.wire.sampling import Penalty, Share, limit

_MOST_STOPS = 64
_UNTIL_FULL = -2


class AnswerOptions(Body, kw_only=True):
    """How an answer is written; what concerns loading has no use here: the gateway's configuration says that."""

    num_predict: Annotated[int, Meta(ge=_UNTIL_FULL, le=INT64_MAX)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=100)] | None = None
    top_k: Annotated[int, Meta(ge=-1, le=INT64_MAX)] | None = None
    top_p: Share | None = None
    min_p: Share | None = None
    typical_p: Share | None = None
    repeat_penalty: Annotated[float, Meta(gt=0, le=100)] | None = None
    repeat_last_n: Annotated[int, Meta(ge=-1, le=INT64_MAX)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=INT64_MAX)] | None = None
    stop: str | Annotated[list[str], Meta(max_length=_MOST_STOPS)] | None = None


def sampling(options: AnswerOptions) -> Sampling:
    """Return how *options* want tokens drawn; what they leave out keeps our default."""
    return Sampling(
        **provided(
            temperature=options.temperature,
            top_k=None if options.top_k is None else max(0, min(options.top_k, INT32_MAX)),
            top_p=options.top_p,
            min_p=options.min_p,
            typical_p=options.typical_p,
            repeat_penalty=options.repeat_penalty,
            repeat_last_n=None if options.repeat_last_n is None else min(options.repeat_last_n, INT32_MAX),
            presence_penalty=options.presence_penalty,
            frequency_penalty=options.frequency_penalty,
            seed=None if options.seed == -1 else options.seed,  # llama.cpp's word for a fresh one
        )
    )


def most(options: AnswerOptions) -> int | None:
    """Return how many tokens an answer may have, None for no limit.

    Raises:
        RequestError: none.

    """
    wanted = options.num_predict
    return limit(None if wanted == _UNTIL_FULL else wanted, param="options.num_predict")


def stops(options: AnswerOptions) -> tuple[str, ...]:
    """Return the strings that end an answer."""
    listed = [options.stop] if isinstance(options.stop, str) else options.stop or []
    return tuple(stop for stop in listed if stop)


def text_format(wanted: str | dict[str, Any] | None) -> ResponseFormat:
    """Return the form of the text for Ollama's ``format``.

    Raises:
        RequestError: it is a word other than "json".

    """
    if isinstance(wanted, dict):
        return ResponseFormat(kind="json_schema", schema=wanted)
    if wanted not in {None, "", "json"}:
        raise RequestError(f"format: expected 'json' or a JSON schema, found {wanted!r}", param="format")
    return ResponseFormat(kind="json_object") if wanted else ResponseFormat()


def told_to_templates(think: bool | str | None) -> dict[str, Any]:  # noqa: FBT001  # it is the field's value
    """Return what templates are told of thinking: whether, and for a word how much; nothing where nothing is said."""
    match think:
        case None:
            return {}
        case bool():
            return {"enable_thinking": think}
        case _:
            return {"enable_thinking": True, "reasoning_effort": think}
