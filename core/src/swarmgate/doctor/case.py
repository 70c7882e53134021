"""What the doctor knows before it looks: the configuration, and what a gateway that runs already says."""

from __future__ import annotations

from dataclasses import dataclass

from swarmgate.config.blueprint import Blueprint
from swarmgate.http.standing import Readiness
from swarmgate.http.wire.swarm import SwarmDocument
from swarmgate.plugins import Catalogue


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway that answers at the configured address: *url*, and what it says of its swarm and of its models.

    *readiness* is None where it said nothing of that.
    """

    url: str
    swarm: SwarmDocument
    readiness: Readiness | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """*running* is None if nobody answers at the configured address, *barred* says why one that does tells nothing."""

    blueprint: Blueprint
    catalogue: Catalogue
    running: Running | None = None
    barred: str = ""
