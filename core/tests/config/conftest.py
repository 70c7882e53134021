from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta
from swarmgate.config.blueprint import Blueprint, draw
from swarmgate.config.faults import Fault, FaultyConfig
from swarmgate.config.layers import Layer, Sources, parse
from swarmgate.parts import BACKEND, BALANCER, DISCOVERY, LEDGER, PATH, SECRET, NoOptions, Options, Part, Slot
from swarmgate.plugins import Catalogue, Entry


class Engine(msgspec.Struct, forbid_unknown_fields=True):
    threads: int
    note: str = ""


class ModelOptions(Options, frozen=True):
    #: The GGUF file
    #: to serve.
    model: Annotated[str, PATH]
    context_size: Annotated[int, Meta(ge=1)] = 2048
    """Tokens that fit."""
    token: Annotated[str, SECRET] = ""
    engines: list[Engine] = []
    weights: list[float] | None = None
    mode: Literal["slow", "fast"] = "slow"
    low: int = 0
    high: int = 10

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"low must not be above high, which is {self.high} (token {self.token})")


class ListOptions(Options, frozen=True):
    workers: list[str] = []
    files: Annotated[tuple[str, ...], PATH] = ()
    renamed: int = msgspec.field(default=1, name="other-name")


class SeedOptions(Options, frozen=True):
    seed: int | None = None


@asynccontextmanager
async def open_nothing(options: Any, context: Any) -> AsyncGenerator[Any]:
    yield None


def entry(slot: Slot[Any], name: str, options: type[Options], **environ: str) -> Entry:
    return Entry(slot, Part(name, "For a test.", options, open_nothing, environ=environ), name, f"acme-{name}", "1.0")


@pytest.fixture
def catalogue() -> Catalogue:
    """What is installed in these tests."""
    entries = [
        entry(LEDGER, "memory", NoOptions),
        entry(DISCOVERY, "static", ListOptions, WORKERS="workers"),
        entry(BALANCER, "least_loaded", SeedOptions),
        entry(BALANCER, "first_free", NoOptions),
        entry(BACKEND, "llamacpp", ModelOptions, MODEL_TOKEN="token", MODEL_SIZE="context_size", MODEL_FILE="model"),
        entry(BACKEND, "echo", NoOptions),
    ]
    return Catalogue({(each.slot.name, each.part.name): each for each in entries})


Draw = Callable[..., Blueprint]


@pytest.fixture
def drawn(catalogue: Catalogue) -> Draw:
    """Draw from texts, the nearest first; a fault in a text is a fault of the whole."""

    def draw_from(
        *texts: str, flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None, **more: Any
    ) -> Blueprint:
        names = ["near.toml", "far.toml"]
        read = [parse(text, names[rank], rank=rank) for rank, text in enumerate(texts)]
        files = tuple(each for each in read if isinstance(each, Layer))
        faults = tuple(each for each in read if isinstance(each, Fault))
        return draw(Sources(flags or {}, environ or {}, files, faults), catalogue, **more)

    return draw_from


@pytest.fixture
def faults(drawn: Draw) -> Callable[..., list[str]]:
    """Draw, and return the lines of what is wrong."""

    def faults_of(*texts: str, **more: Any) -> list[str]:
        with pytest.raises(FaultyConfig) as caught:
            drawn(*texts, **more)
        return str(caught.value).splitlines()

    return faults_of
