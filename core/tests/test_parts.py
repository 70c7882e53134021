from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
from msgspec import Meta
from swarmgate.errors import ConfigError, PluginError
from swarmgate.parts import DISCOVERY, LEDGER, SECRET, SLOTS, TRANSPORT, Options, PartContext
from swarmgate.testing import a_context, a_node, a_swarm


class Guarded(Options, frozen=True):
    name: str = "n"
    token: Annotated[str, SECRET] | None = None
    keys: Annotated[tuple[Annotated[str, Meta(min_length=1)], ...], SECRET] = ()
    nested: tuple[Annotated[str, SECRET], ...] = ()


def test_no_representation_shows_a_secret() -> None:
    """However it is marked; what is not given may be seen not to be."""
    shown = repr(Guarded(token="hush1", keys=("hush2",), nested=("hush3",)))
    assert shown == "Guarded(name='n', token='***', keys='***', nested='***')"
    assert repr(Guarded()) == "Guarded(name='n', token=None, keys=(), nested=())"
    assert "hush" not in str(Guarded(token="hush").__rich_repr__())


def test_a_part_that_needs_a_swarm_says_how_to_get_into_one(tmp_path: Path) -> None:
    """A member's part gets the membership."""
    with pytest.raises(ConfigError, match=r"'tls' is for members of a swarm: join one with a token \(--token-file"):
        a_context(tmp_path).member("tls")
    (membership,) = a_swarm("worker")
    assert PartContext(a_node(), tmp_path, membership).member("tls") is membership


def test_parts_share_by_type(tmp_path: Path) -> None:
    """What nobody provided is missed with the hint."""
    context = a_context(tmp_path)
    with pytest.raises(PluginError, match="open a host first"):
        context.require(str, hint="open a host first")
    context.provide(str, "host")
    assert context.require(str, hint="") == "host"


def test_only_slots_that_lead_to_others_differ_in_a_swarm() -> None:
    """And what serves without one serves there, too."""
    differing = {slot.name: slot.swarm_defaults for slot in SLOTS if slot.swarm_defaults}
    assert set(differing) == {TRANSPORT.name, LEDGER.name, DISCOVERY.name}
    assert all(set(slot.defaults) <= set(slot.swarm_defaults) for slot in (TRANSPORT, LEDGER, DISCOVERY))
