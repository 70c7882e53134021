"""Parts: named implementations of a slot, waiting to be configured and opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar, cast, get_args

import msgspec

from swarmgate.contracts import Backend, Balancer, Discovery, Ledger, Lender, Probe, Splitter, Transport
from swarmgate.errors import ConfigError, PluginError
from swarmgate.nouns import Node
from swarmgate.swarm.membership import Membership

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
OptionsT = TypeVar("OptionsT", bound="Options")

#: Marks an option whose value is never shown: ``token: Annotated[str, SECRET]``.
SECRET = msgspec.Meta(extra={"secret": True})
#: Marks an option that names a file or folder: ``model: Annotated[str, PATH]``.  ``~`` is expanded, and a
#: relative path in a configuration file is relative to the folder of that file.
PATH = msgspec.Meta(extra={"path": True})

#: What to do where a part needs a membership and there is none.
MEMBERS_REMEDY = "join one with a token (--token-file FILE, or TOKEN=...), or begin one with `gateway run --p2p`"


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every part's options: immutable, and strict about what it knows.

    The comment block above a field (``#:``) is its help text in ``gateway plugins show``.  Names
    carry their unit: ``settle_seconds``, ``memory_mb``.  Bounds are given as
    ``Annotated[int, msgspec.Meta(ge=1)]``; the markers :data:`SECRET` and :data:`PATH` are given
    the same way.  No option may be called ``use``: that word names the part.  What is marked :data:`SECRET` does not
    show in a ``repr``.
    """

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={shown!r}' for name, shown in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        values = [(each.name, getattr(self, each.name), each.type) for each in msgspec.structs.fields(type(self))]
        return [(name, "***" if value and _is_secret(hint) else value) for name, value, hint in values]


def _is_secret(hint: object) -> bool:
    return any(
        bool((inner.extra or {}).get("secret")) if isinstance(inner, msgspec.Meta) else _is_secret(inner)
        for inner in get_args(hint)
    )


class NoOptions(Options, frozen=True):
    """For parts with nothing to set."""


@dataclass(frozen=True, slots=True)
class Slot(Generic[T_co]):
    """A place in the house that parts can fill.

    *defaults* are tried in order when the configuration says nothing: the first one installed
    fills the slot.  *many* slots take any number of parts.  In a swarm *swarm_defaults*, if there are any, stand in
    their place, and a *many* slot gets all of them that are installed.  *role* says which command opens it.
    A *needed* slot may not stay empty.
    """

    name: str
    contract: type[T_co]
    summary: str
    many: bool = False
    defaults: tuple[str, ...] = ()
    role: str = "run"
    needed: bool = False
    swarm_defaults: tuple[str, ...] = ()

    @property
    def hook(self) -> str:
        """Return the name of the hook through which plugins fill this slot."""
        return f"swarmgate_{self.name}"


TRANSPORT = Slot(
    "transport",
    Transport,
    "ways to reach other nodes",
    many=True,
    defaults=("tcp",),
    swarm_defaults=("tcp", "tls", "p2p"),
)
LEDGER = Slot(
    "ledger",
    Ledger,
    "the book of standing offers",
    defaults=("memory",),
    needed=True,
    swarm_defaults=("gossip", "memory"),
)
DISCOVERY = Slot(
    "discovery",
    Discovery,
    "ways to hear of other nodes",
    many=True,
    defaults=("static",),
    swarm_defaults=("static", "mdns", "dht"),
)
PROBE = Slot("probe", Probe, "ways to ask nodes what they have", many=True, defaults=("llama_cpp_rpc",))
BALANCER = Slot(
    "balancer",
    Balancer,
    "who answers a request",
    defaults=("least_loaded", "round_robin", "first_free"),
    needed=True,
)
SPLITTER = Slot("splitter", Splitter, "how a model is divided", defaults=("by_memory", "whole"))
BACKEND = Slot(
    "backend",
    Backend,
    "engines that answer requests",
    many=True,
    defaults=("llamacpp", "echo"),
    needed=True,
)
WORKER = Slot("worker", Lender, "what this machine lends to others", role="worker")
#: The order is the order of opening; closing is the reverse.
SLOTS: tuple[Slot[Any], ...] = (TRANSPORT, LEDGER, DISCOVERY, PROBE, BALANCER, SPLITTER, BACKEND, WORKER)


@dataclass(slots=True)
class PartContext:
    """What a part may lean on while it is open.

    *state_dir* survives restarts (keys, caches of tensors); it exists and is 0700.  *membership* is the node's place
    in its swarm, None without a token.  *models_dir* is the folder of models that are told by name; it need not exist.
    """

    node: Node
    state_dir: Path
    membership: Membership | None = None
    models_dir: Path | None = None
    _shared: dict[type, object] = field(default_factory=dict[type, object])

    def provide(self, kind: type[T], thing: T) -> None:
        """Let parts that open later :meth:`require` *thing*."""
        self._shared[kind] = thing

    def member(self, part: str) -> Membership:
        """Return the node's place in its swarm, for the part called *part*, which cannot do without.

        Raises:
            ConfigError: it has none; the message says how to get one.

        """
        if self.membership is None:
            raise ConfigError(f"{part!r} is for members of a swarm: {MEMBERS_REMEDY}")
        return self.membership

    def require(self, kind: type[T], *, hint: str) -> T:
        """Return what an earlier part provided.

        Raises:
            PluginError: nobody did; *hint* is the message and says what to configure.

        """
        try:
            return cast("T", self._shared[kind])
        except KeyError:
            raise PluginError(hint) from None


@dataclass(frozen=True, slots=True)
class Part(Generic[OptionsT, T_co]):
    """One named implementation of one slot.

    Building a part has no side effects: importing a plugin and asking it for its parts must
    stay cheap, so heavy imports belong inside *open*.  *environ* maps environment variables the
    part honours to its options; *summary* is one sentence with its full stop.  A backend that only
    asks other machines has nothing to load: with *loads* False no plan is made for it.  A part that needs
    :attr:`PartContext.membership` is *members_only*: choosing it without a token is a fault of the configuration.
    """

    name: str
    summary: str
    options: type[OptionsT]
    open: Callable[[OptionsT, PartContext], AbstractAsyncContextManager[T_co]]
    environ: Mapping[str, str] = field(default_factory=dict[str, str])
    loads: bool = True
    members_only: bool = False
