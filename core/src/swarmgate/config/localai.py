"""LocalAI's names for what the gateway can be told, so that its users' environments go on meaning the same.  Pure.

The table is that of LocalAI's page "Distributed Inference", and where its models lie.  Each name ranks after
``GATEWAY_<NAME>`` and before files.  Those of the token are in :mod:`swarmgate.config.tickets`, those of libp2p with
the plugin's options.
"""

from __future__ import annotations

from collections.abc import Mapping

from swarmgate.config.decode import Given
from swarmgate.config.layers import Sources

#: Its page says that this makes a server that shares requests out; its own programs take a command for that.
DOOR = "FEDERATED_SERVER"
#: Which setting each variable stands for; of several for one, the first that says yes counts.
VARIABLES: Mapping[str, str] = {
    "LOCALAI_P2P": "p2p",
    "LOCALAI_FEDERATED": "federated",
    DOOR: "federated",
    "LOCALAI_MODELS_PATH": "models_dir",
    "MODELS_PATH": "models_dir",
}
_NO = ("false", "0")
_YES = ("true", "1")


def said(sources: Sources, setting: str) -> Given | None:
    """Return what LocalAI's variables say of *setting*, None if nothing."""
    names = (variable for variable, stands_for in VARIABLES.items() if stands_for == setting)
    found = [given for name in names if (given := sources.variable(name))]
    return next((given for given in found if given.value.strip().lower() not in _NO), next(iter(found), None))


def is_door(sources: Sources) -> bool:
    """Return whether what runs is to serve no model of its own, as ``gateway federated`` does.

    Whoever names a model on the command line wants it served, whatever the environment says.
    """
    given = sources.variable(DOOR)
    return given is not None and given.value.strip().lower() in _YES and "model" not in sources.flags
