"""``/v1/models`` of gateways, llama-server, LocalAI, vLLM, Ollama and others, into cards; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import msgspec
from swarmgate.api import Ability, ModelCard, NodeId, WireError

_SLOTS = 8
_LARGEST = 2**62
_MOST_MODELS = 10_000
_ABILITIES: frozenset[Ability] = frozenset(("chat", "completion", "embedding"))
#: What a server may say that a model can; nobody is taken to judge texts who does not say so.
_KNOWN: frozenset[Ability] = frozenset(("chat", "completion", "embedding", "rerank"))
#: Where servers write how many tokens prompt and answer may have together, the surest first.
_CONTEXTS = ("context_length", "max_model_len", "n_ctx", "n_ctx_train", "context_window", "max_context_length")


class Gateway(msgspec.Struct, frozen=True):
    """Who answers, if it is one of us, and after how many seconds of silence its streams have a comment."""

    id: str
    name: str = ""
    ping_seconds: float = 0.0


class Model(msgspec.Struct):
    """One model, as many kinds of servers describe theirs."""

    id: str
    created: int | float | None = None
    aliases: Any = None
    meta: Any = None
    context_length: Any = None
    max_model_len: Any = None
    context_window: Any = None
    max_context_length: Any = None


class Listing(msgspec.Struct):
    """All models, and who has them."""

    data: list[Model] | None
    object: Literal["list"] | None = None
    gateway: Gateway | None = None


class Choosing(msgspec.Struct, frozen=True):
    """What is taken of a listing, and by which names.

    *wanted* maps names here to names there; empty means all, as they are.  *me* is this gateway's own id, *node*
    what the server shall be called, *slots* how many answers it is asked for at once, if that is not its choice,
    *labels* what balancers are told of it.
    """

    me: NodeId
    node: str
    wanted: Mapping[str, str] = {}
    slots: int | None = None
    labels: dict[str, str] = {}

    def named_there(self, name: str) -> str:
        """Return what the model called *name* here is called there."""
        return self.wanted.get(name, name)


def wanted(entries: Sequence[str]) -> dict[str, str]:
    """Read ``NAME`` and ``ALIAS=NAME``: names here to names there."""
    pairs = [entry.partition("=") for entry in entries]
    return {here.strip(): (there or here).strip() for here, _, there in pairs}


def read_listing(body: bytes) -> Listing:
    """Read the answer to ``GET /v1/models``.

    Raises:
        WireError: it is something else.

    """
    try:
        listing = msgspec.json.decode(body, type=Listing)
    except (msgspec.DecodeError, RecursionError) as error:
        raise WireError(f"/v1/models is no list of models: {error}") from None
    if len(listing.data or ()) > _MOST_MODELS:
        raise WireError(f"/v1/models lists more than {_MOST_MODELS} models")
    return listing


def cards(listing: Listing, choosing: Choosing) -> tuple[tuple[ModelCard, ...], str]:
    """Return the cards of what is to be taken, and why nothing of it can answer now, empty if something can."""
    there = {model.id: model for model in reversed(listing.data or ())}
    names = choosing.wanted or {name: name for name in reversed(there)}
    drawn: list[ModelCard] = []
    reasons: list[str] = []
    for here, name in names.items():
        model = there.get(name) or next((model for model in there.values() if name in _texts(model.aliases)), None)
        if model is None:
            reasons.append(f"it has no model called {name!r}")
            continue
        meta = _table(model.meta)
        paths = _paths(meta, listing.gateway, choosing.me)
        if listing.gateway is not None and not paths:
            continue  # it has this one only by way of ourselves
        drawn.append(_card(model, meta, here, paths, listing.gateway, choosing))
        reasons.append("" if meta.get("ready", True) is True else f"{here}: {meta.get('reason') or 'not ready'}")
    if drawn and "" in reasons:
        return tuple(drawn), ""
    return tuple(drawn), "; ".join(filter(None, reasons)) or "it serves no model"


def foretold(choosing: Choosing) -> tuple[ModelCard, ...]:
    """Return the cards of what is wanted, before anybody has looked."""
    return tuple(
        ModelCard(name=name, node=choosing.node, abilities=_ABILITIES, labels=choosing.labels)
        for name in choosing.wanted
    )


def _card(
    model: Model,
    meta: Mapping[str, Any],
    name: str,
    paths: tuple[tuple[str, ...], ...],
    gateway: Gateway | None,
    choosing: Choosing,
) -> ModelCard:
    contexts = (_number(getattr(model, field, None)) or _number(meta.get(field)) for field in _CONTEXTS)
    said = _texts(meta.get("abilities"))
    abilities: frozenset[Ability] = frozenset(ability for ability in _KNOWN if ability in said)
    aliases = () if choosing.wanted else tuple(alias for alias in _texts(model.aliases) if alias != name)
    return ModelCard(
        name=name,
        abilities=abilities or _ABILITIES,
        slots=choosing.slots or _number(meta.get("slots")) or _SLOTS,
        context_length=next(filter(None, contexts), 0),
        context_train=_number(meta.get("n_ctx_train")),
        fingerprint=_text(meta.get("fingerprint")) if gateway else "",
        architecture=_text(meta.get("architecture")),
        quantization=_text(meta.get("quantization")),
        parameters=_number(meta.get("n_params")),
        weight_bytes=_number(meta.get("size")),
        layers=_number(meta.get("n_layer")),
        embedding_length=_number(meta.get("n_embd")),
        vocabulary=_number(meta.get("n_vocab")),
        created=_number(model.created),
        aliases=aliases,
        node=choosing.node,
        paths=paths,
        labels=choosing.labels,
    )


def _paths(meta: Mapping[str, Any], gateway: Gateway | None, me: NodeId) -> tuple[tuple[str, ...], ...]:
    """Return the ways there that do not lead through this gateway; none for servers of other kinds."""
    if gateway is None:
        return ()
    listed = meta.get("paths")
    ways = [tuple(_texts(path)) for path in cast("list[Any]", listed)] if isinstance(listed, list) else []
    ways = ways or [(gateway.id,)]
    return tuple(way for way in dict.fromkeys(ways) if way and me not in way)


def _table(value: object) -> Mapping[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _texts(value: object) -> list[str]:
    return [text for text in cast("list[Any]", value) if isinstance(text, str)] if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return int(value) if 0 <= value < _LARGEST else 0
