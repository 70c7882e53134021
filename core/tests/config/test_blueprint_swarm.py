"""What the blueprint holds for members of a swarm."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from swarmgate.config.blueprint import Blueprint, draw_settings, draw_worker
from swarmgate.config.faults import FaultyConfig
from swarmgate.config.layers import Layer, Sources, parse
from swarmgate.errors import PluginError
from swarmgate.parts import LEDGER, TRANSPORT, WORKER, NoOptions, Part
from swarmgate.plugins import Catalogue, Entry

Draw = Callable[..., Blueprint]
Faults = Callable[..., list[str]]
MODEL = '[[backend]]\nuse = "llamacpp"\nmodel = "/m.gguf"\n'
MEMBERS_ONLY = {"tls", "p2p", "gossip"}


@asynccontextmanager
async def open_nothing(options: Any, context: Any) -> AsyncGenerator[Any]:
    yield None


def in_a_swarm(catalogue: Catalogue) -> None:
    """Install what members use, and a lender."""
    for slot, name in (
        (TRANSPORT, "tcp"),
        (TRANSPORT, "tls"),
        (TRANSPORT, "p2p"),
        (LEDGER, "gossip"),
        (WORKER, "lend"),
    ):
        part: Part[Any, Any] = Part(name, "For a test.", NoOptions, open_nothing, members_only=name in MEMBERS_ONLY)
        catalogue.entries[slot.name, name] = Entry(slot, part, name, f"acme-{name}", "1.0")


def names(blueprint: Blueprint) -> list[str]:
    return [choice.part.name for choice in blueprint.choices]


def test_a_member_gets_the_swarms_parts(catalogue: Catalogue, drawn: Draw) -> None:
    """All transports and discoveries for it that are installed, and of the ledgers the first; nobody else does."""
    in_a_swarm(catalogue)
    assert names(drawn(MODEL)) == ["tcp", "memory", "static", "least_loaded", "llamacpp"]
    inside = drawn(MODEL, flags={"p2p": True})
    assert names(inside) == ["tcp", "tls", "p2p", "gossip", "static", "least_loaded", "llamacpp"]
    assert {choice.origin for choice in inside.choices[:-1]} == {"default"}


def test_a_member_without_the_plugins_has_what_there_is(catalogue: Catalogue, drawn: Draw) -> None:
    """The ledger falls back to memory; a transport that is broken keeps the others from nothing."""
    catalogue.broken["tls"] = PluginError("does not import")
    assert names(drawn(MODEL, flags={"p2p": True})) == ["memory", "static", "least_loaded", "llamacpp"]


def test_what_is_configured_goes_before_the_swarms_defaults(catalogue: Catalogue, drawn: Draw) -> None:
    """A table for a slot is all there is in it, and no table of one at all means none."""
    in_a_swarm(catalogue)
    text = 'discovery = []\n[[transport]]\nuse = "tls"\n[ledger]\nuse = "memory"\n' + MODEL
    assert names(drawn(text, flags={"p2p": True})) == ["tls", "memory", "least_loaded", "llamacpp"]


def test_a_members_part_without_a_token_is_a_fault(catalogue: Catalogue, drawn: Draw, faults: Faults) -> None:
    """It has its line and the remedy; a token that is wrong is one fault and not two."""
    in_a_swarm(catalogue)
    text = MODEL + '[[transport]]\nuse = "tls"\n'
    remedy = "join one with a token (--token-file FILE, or TOKEN=...), or begin one with `gateway run --p2p`"
    assert faults(text) == [f"near.toml:4: transport 'tls' is for members of a swarm: {remedy}"]
    (line,) = faults(text, flags={"token": "sgt_x"})
    assert line.startswith("--p2ptoken: ")
    assert "tls" in names(drawn(text, flags={"p2p": True}))


def test_a_worker_opens_what_its_swarm_hears_of_it_by(catalogue: Catalogue) -> None:
    """Transports, ledger and discoveries, as configured or the swarm's defaults; outside of one only what it lends."""
    in_a_swarm(catalogue)
    assert names(draw_worker(Sources(), catalogue, "lend", {})) == ["lend"]
    member = draw_worker(Sources({"p2p": True}), catalogue, "lend", {})
    assert names(member) == ["tcp", "tls", "p2p", "gossip", "static", "lend"]
    assert (member.settings.p2p, member.origins["p2p"]) == (True, "--p2p")
    layer = parse('[[transport]]\nuse = "tls"\n', "near.toml")
    assert isinstance(layer, Layer)
    configured = draw_worker(Sources({"p2p": True}, {}, (layer,)), catalogue, "lend", {})
    assert [choice.part.name for choice in configured.of(TRANSPORT)] == ["tls"]
    assert names(draw_worker(Sources({}, {}, (layer,)), catalogue, "lend", {})) == ["lend"]


def test_the_settings_alone_are_drawn_whatever_is_said_of_parts(faults: Faults) -> None:
    """Who only wants to know of the token need not have the rest in order."""
    layer = parse('[gateway]\nname = "n"\n[[backend]]\nuse = "nonsense"\n', "near.toml")
    assert isinstance(layer, Layer)
    settings, origins = draw_settings(Sources({}, {}, (layer,)))
    assert (settings.name, origins["name"]) == ("n", "near.toml:2")
    with pytest.raises(FaultyConfig, match="P2P_TOKEN: this is no token of ours"):
        draw_settings(Sources({}, {"P2P_TOKEN": "x"}, (layer,)))
