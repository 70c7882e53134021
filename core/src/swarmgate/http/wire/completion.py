"""``POST /v1/completions``: the request, whose prompt comes in four forms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import Meta

from swarmgate.chat import GenerateRequest, ModelCard, Prompt, TextPrompt, TokenPrompt
from swarmgate.errors import RequestError, Unsupported
from swarmgate.http.wire.asked import Caller, Generating, chosen
from swarmgate.http.wire.carrying import TokenEvents, resume
from swarmgate.http.wire.completion_forms import TextChunks, TextDocument
from swarmgate.http.wire.heading import Heading
from swarmgate.http.wire.reading import INT32_MAX
from swarmgate.http.wire.sampling import (
    MOST_CHOICES,
    GenerateBody,
    choices,
    limit,
    response_format,
    sampling,
    stops,
)

_IDS: dict[str, Any] = {
    "type": "array",
    "items": {"type": "integer", "minimum": 0, "maximum": INT32_MAX},
    "minItems": 1,
}
#: An event without content; its index is filled in.
_BLANK = b'{"index":%d,"text":"","logprobs":null,"finish_reason":null}]}\n\n'
#: Text, texts, token ids, or lists of token ids.  Which lists are whole is checked by hand: JSON
#: types alone cannot tell them apart.
Texts = Annotated[
    str | list[str | int | list[int]],
    Meta(
        extra_json_schema={
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 128},
                _IDS,
                {"type": "array", "items": _IDS, "minItems": 1, "maxItems": 128},
            ]
        }
    ),
]


class CompletionBody(GenerateBody, kw_only=True):
    """Text to be continued; *suffix* asks for what goes in between, *echo* for the prompt as well."""

    prompt: Texts
    suffix: str | None = None
    echo: bool | None = None
    logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    best_of: Annotated[int, Meta(ge=1, le=MOST_CHOICES)] | None = None


def completion(body: CompletionBody, cards: tuple[ModelCard, ...], caller: Caller) -> Generating:
    """Translate *body*, of which one of *cards* is asked.

    Raises:
        RequestError: it contradicts itself, or asks for too many answers; *param* says where.
        Unsupported: it asks for what this gateway does not do.
        UnknownModel: nobody serves the model it names.
        Unavailable: it goes on with an answer of other weights.

    """
    card = chosen(cards, body.model)
    prompts = _prompts(body)
    count = body.n or 1
    _check(body, count, len(prompts))
    several = len(prompts) > 1
    firsts = [
        GenerateRequest(
            id=f"{caller.id}-p{number}" if several else caller.id,
            model=body.model or card.name,
            prompt=prompt,
            sampling=sampling(body),
            max_tokens=limit(body.max_tokens, param="max_tokens"),
            stop=stops(body),
            response_format=response_format(body),
            grammar=body.grammar or "",
            logprobs=body.logprobs,
            ignore_eos=bool(body.ignore_eos),
            session=caller.session_of(body.prompt_cache_key, body.user),
            priority=body.priority or 0,
            resume=resume(body.resume, card, answers=count * len(prompts)) if caller.tokens else None,
        )
        for number, prompt in enumerate(prompts)
    ]
    requests = tuple(request for first in firsts for request in choices(first, count))
    heading = Heading(
        id=f"cmpl-{caller.tag}", created=caller.created, model=firsts[0].model, fingerprint=card.fingerprint
    )
    stream = bool(body.stream)
    if stream:
        usage = bool(body.stream_options and body.stream_options.include_usage)
        form = TextChunks(heading, choices=len(requests), per_prompt=count, include_usage=usage)
        if caller.tokens:
            blank = heading.opening("text_completion") + _BLANK
            wrapped = TokenEvents(form, blank=blank)
            return Generating(requests, wrapped, stream, echo=form.echo if body.echo else None)
    else:
        form = TextDocument(heading, choices=len(requests), per_prompt=count)
    return Generating(requests=requests, form=form, stream=stream, echo=form.echo if body.echo else None)


def texts_or_ids(given: str | Sequence[str | int | list[int]], param: str) -> tuple[str | tuple[int, ...], ...]:
    """Return the entries of *given*, which is one of the four forms.

    Raises:
        RequestError: it is empty, or mixes the forms, or has ids that no model has.

    """
    if isinstance(given, str):
        return (given,)
    if not given:
        raise RequestError(f"{param}: expected at least one entry, found none", param=param)
    if isinstance(given[0], int):
        return (_ids(given, param),)
    entries: list[str | tuple[int, ...]] = []
    for index, entry in enumerate(given):
        if type(entry) is not type(given[0]):
            where = f"{param}[{index}]"
            raise RequestError(
                f"{where}: expected {_kind(given[0])} as the first entry, found {_kind(entry)}", param=where
            )
        if isinstance(entry, str):
            entries.append(entry)
        elif isinstance(entry, list):
            entries.append(_ids(entry, f"{param}[{index}]"))
    return tuple(entries)


def _prompts(body: CompletionBody) -> tuple[Prompt, ...]:
    prompts: list[Prompt] = []
    for entry in texts_or_ids(body.prompt, "prompt"):
        if isinstance(entry, str):
            prompts.append(TextPrompt(text=entry, suffix=body.suffix or ""))
        elif body.suffix:
            raise Unsupported("suffix: needs a prompt of text, found token ids", param="suffix")
        else:
            prompts.append(TokenPrompt(ids=entry))
    return tuple(prompts)


def _check(body: CompletionBody, count: int, prompts: int) -> None:
    if body.best_of is not None and body.best_of != count:
        raise Unsupported(
            f"best_of: expected n ({count}), since every answer is given, found {body.best_of}; ask for a larger n",
            param="best_of",
        )
    if count * prompts > MOST_CHOICES:
        raise RequestError(
            f"n: {prompts} prompts with {count} answers each are more than {MOST_CHOICES}; send several requests",
            param="n",
        )
    if body.echo and body.logprobs is not None:
        raise Unsupported(
            "echo: log-probabilities of the prompt are not given; leave out echo or logprobs", param="echo"
        )


def _ids(entries: Sequence[object], param: str) -> tuple[int, ...]:
    if not entries:
        raise RequestError(f"{param}: expected at least one token id, found none", param=param)
    ids: list[int] = []
    for index, entry in enumerate(entries):
        where = f"{param}[{index}]"
        if not isinstance(entry, int):
            raise RequestError(f"{where}: expected a token id, found {_kind(entry)}", param=where)
        if not 0 <= entry <= INT32_MAX:
            raise RequestError(f"{where}: expected a token id of 0 or more, found {entry}", param=where)
        ids.append(entry)
    return tuple(ids)


def _kind(entry: object) -> str:
    return "text" if isinstance(entry, str) else "a list" if isinstance(entry, list) else "a number"
