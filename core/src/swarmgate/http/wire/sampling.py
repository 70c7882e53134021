"""The fields that chat and text completions have in common, and what they mean."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType
from msgspec.structs import replace

from swarmgate.chat import GenerateRequest, ResponseFormat, Sampling
from swarmgate.errors import RequestError
from swarmgate.http.wire.reading import INT32_MAX, INT64_MAX, Body, provided

#: How many answers one request may ask for, over all its prompts.
MOST_CHOICES = 128
_MOST_STOPS = 4

Share = Annotated[float, Meta(ge=0, le=1)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Whole = Annotated[int, Meta(ge=-1, le=INT64_MAX)]
TokenId = Annotated[str, Meta(pattern="^[0-9]{1,9}$")]
Bias = Annotated[float, Meta(ge=-100, le=100)]
#: At least 1; llama.cpp's -1 for "no limit" is taken as well.
Limit = Annotated[
    int, Meta(ge=-1, le=INT64_MAX, extra_json_schema={"anyOf": [{"const": -1}, {"minimum": 1}], "type": "integer"})
]


class StreamOptions(Struct, kw_only=True):
    """How to stream: *include_usage* asks for one more chunk, with token counts and no choices."""

    include_usage: bool | None = None


class JsonSchema(Struct, kw_only=True):
    """A named JSON schema.  It is always obeyed, whatever *strict* says."""

    name: str = ""
    schema: dict[str, Any] | None = None
    description: str | None = None
    strict: bool | None = None


class ResponseFormatBody(Struct, kw_only=True):
    """The form of the text; *schema* beside ``json_object`` is llama.cpp's way to give one."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None
    schema: dict[str, Any] | None = None


class SamplingBody(Body, kw_only=True):
    """How the next token is drawn, in OpenAI's words and llama.cpp's."""

    temperature: Annotated[float, Meta(ge=0, le=100)] | None = None
    top_p: Share | None = None
    top_k: Whole | None = None
    min_p: Share | None = None
    typical_p: Share | None = None
    repeat_penalty: Annotated[float, Meta(gt=0, le=100)] | None = None
    repeat_last_n: Whole | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: dict[TokenId, Bias] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=INT64_MAX)] | None = None


class GenerateBody(SamplingBody, kw_only=True):
    """What chat and text completions have in common; *resume* is between gateways (:mod:`.carrying`)."""

    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Meta(ge=1, le=MOST_CHOICES)] | None = None
    max_tokens: Limit | None = None
    stop: str | Annotated[list[str], Meta(max_length=_MOST_STOPS)] | None = None
    ignore_eos: bool | None = None
    grammar: str | None = None
    response_format: ResponseFormatBody | None = None
    prompt_cache_key: str | None = None
    user: str | None = None
    priority: int | None = None
    resume: Raw | UnsetType = UNSET


def sampling(body: SamplingBody) -> Sampling:
    """Return how *body* wants its tokens drawn; what it leaves out keeps its default."""
    bias = body.logit_bias
    return Sampling(
        **provided(
            temperature=body.temperature,
            top_k=_bounded(body.top_k, low=0),
            top_p=body.top_p,
            min_p=body.min_p,
            typical_p=body.typical_p,
            repeat_penalty=body.repeat_penalty,
            repeat_last_n=_bounded(body.repeat_last_n, low=-1),
            presence_penalty=body.presence_penalty,
            frequency_penalty=body.frequency_penalty,
            logit_bias={int(token): added for token, added in bias.items()} if bias else None,
            seed=None if body.seed == -1 else body.seed,  # llama.cpp's word for a fresh one
        )
    )


def limit(tokens: int | None, *, param: str) -> int | None:
    """Return a limit of *tokens*, None for no limit.

    Raises:
        RequestError: it is zero.

    """
    if tokens is None or tokens == -1:
        return None
    if tokens == 0:
        raise RequestError(f"{param}: expected at least 1, or -1 for no limit, found 0", param=param)
    return min(tokens, INT32_MAX)


def stops(body: GenerateBody) -> tuple[str, ...]:
    """Return the strings that end an answer; empty ones, which would end all, are left out."""
    listed = [body.stop] if isinstance(body.stop, str) else body.stop or []
    return tuple(stop for stop in listed if stop)


def response_format(body: GenerateBody) -> ResponseFormat:
    """Return the form of the text that *body* asks for.

    Raises:
        RequestError: it asks for a schema and gives none.

    """
    match body.response_format:
        case ResponseFormatBody(type="json_schema", json_schema=None | JsonSchema(schema=None), schema=None):
            param = "response_format.json_schema.schema"
            raise RequestError(f"{param}: required with type 'json_schema', but missing", param=param)
        case ResponseFormatBody(type="json_schema", json_schema=JsonSchema(name=name, schema=dict() as schema)):
            return ResponseFormat(kind="json_schema", name=name, schema=schema)
        case ResponseFormatBody(type="json_schema" | "json_object", schema=dict() as schema):
            return ResponseFormat(kind="json_schema", schema=schema)
        case ResponseFormatBody(type="json_object"):
            return ResponseFormat(kind="json_object")
        case _:
            return ResponseFormat()


def choices(first: GenerateRequest, count: int) -> tuple[GenerateRequest, ...]:
    """Return *first* and *count* - 1 more like it, each with the next seed if there is one."""
    seed = first.sampling.seed
    return (first, *(_varied(first, seed, choice) for choice in range(1, count)))


def _varied(first: GenerateRequest, seed: int | None, choice: int) -> GenerateRequest:
    drawn = first.sampling if seed is None else replace(first.sampling, seed=(seed + choice) & INT64_MAX)
    return replace(first, id=f"{first.id}-{choice}", sampling=drawn)


def _bounded(number: int | None, *, low: int) -> int | None:
    return None if number is None else max(low, min(number, INT32_MAX))
