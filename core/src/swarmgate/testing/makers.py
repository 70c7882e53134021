"""Makes the house's words with everything filled in that a test does not care about."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import Any

from swarmgate.api import (
    LLAMA_RPC,
    Candidate,
    ChatPrompt,
    Demand,
    EmbedRequest,
    Endpoint,
    GenerateRequest,
    Membership,
    Message,
    ModelCard,
    Node,
    NodeId,
    Offer,
    PartContext,
    Role,
    Sampling,
    Service,
    Worker,
)
from swarmgate.swarm.membership import invite, join
from swarmgate.swarm.token import Token

GREEDY = Sampling(temperature=0.0, seed=0)


def a_node(name: str = "tester") -> Node:
    """Return a node called *name*."""
    return Node(id=NodeId(f"node-{name}"), name=name)


def a_swarm(*roles: Role) -> tuple[Membership, ...]:
    """Return memberships in one new swarm, one for each of *roles*; two owners if none is given."""
    token = Token.make()
    key, now = secrets.token_bytes, time.time()  # noqa: TID251  # certificates end by the calendar
    return tuple(
        join(token if role == "owner" else invite(token, role, days=1, key=key(32), now=now), key(32))
        for role in roles or ("owner", "owner")
    )


def an_offer(name: str = "w1", *, service: Service = LLAMA_RPC, **fields: Any) -> Offer:
    """Return an offer of *service* by a node of its own; *fields* are the offer's."""
    fields.setdefault("node", NodeId(f"node-{name}"))
    fields.setdefault("addresses", ("tcp://127.0.0.1:1",))
    fields.setdefault("sequence", 1)
    return Offer(service=service, name=name, **fields)


def a_worker(name: str = "w1", *, memory_bytes: int | str | None = None, endpoint: Endpoint | None = None) -> Worker:
    """Return a worker whose offer has the label ``memory_bytes``, unless that is None."""
    labels = {} if memory_bytes is None else {"memory_bytes": str(memory_bytes)}
    return Worker(offer=an_offer(name, labels=labels), endpoint=endpoint or Endpoint("127.0.0.1", 1))


def a_candidate(name: str = "a", **fields: Any) -> Candidate:
    """Return a candidate; *fields* are the candidate's."""
    return Candidate(name=name, **fields)


def a_demand(model: str = "m", **fields: Any) -> Demand:
    """Return a demand for *model*; *fields* are the demand's."""
    return Demand(model=model, **fields)


def a_card(name: str = "m", **fields: Any) -> ModelCard:
    """Return a model's card; *fields* are the card's."""
    fields.setdefault("slots", 2)
    fields.setdefault("context_length", 4096)
    fields.setdefault("fingerprint", f"weights of {name}")
    return ModelCard(name=name, **fields)


def a_request(text: str = "hello there", *, model: str = "m", **fields: Any) -> GenerateRequest:
    """Return a greedy request whose one message is *text*; *fields* are the request's."""
    fields.setdefault("id", "r1")
    fields.setdefault("prompt", ChatPrompt(messages=(Message(role="user", content=text),)))
    fields.setdefault("sampling", GREEDY)
    return GenerateRequest(model=model, **fields)


def an_embed_request(*inputs: str, model: str = "m", **fields: Any) -> EmbedRequest:
    """Return a request to embed *inputs*; *fields* are the request's."""
    return EmbedRequest(id="e1", model=model, inputs=inputs, **fields)


def a_context(state_dir: Path) -> PartContext:
    """Return what a part may lean on, with a node of its own and *state_dir* (``tmp_path``)."""
    return PartContext(node=a_node(), state_dir=state_dir)
