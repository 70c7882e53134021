"""Asks the gateway that runs where the configuration says, if one does."""

from __future__ import annotations

from http.client import HTTPException
from typing import NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

import msgspec

from swarmgate.config.settings import Settings
from swarmgate.http.wire.swarm import SwarmDocument

_SECONDS = 2.0
_MOST_BYTES = 8 << 20
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104  # compared, not bound
_REFUSED = frozenset({401, 403})


class Running(NamedTuple):
    """What was found at *url*: a gateway's own account, or a *fault* worth telling."""

    url: str
    swarm: SwarmDocument | None = None
    fault: str = ""


def ask_running(settings: Settings) -> Running:
    """Return what the gateway at the configured address says; neither account nor fault if there is none."""
    host, _, port = settings.listen.rpartition(":")
    url = f"http://{_ANYWHERE.get(host, host)}:{port}"
    if not int(port):
        return Running(url)
    headers = {"Authorization": f"Bearer {settings.api_keys[0]}"} if settings.api_keys else {}
    request = Request(f"{url}/v1/swarm", headers=headers)  # noqa: S310  # http, and no other scheme
    try:
        # no proxy: it is this machine
        with build_opener(ProxyHandler({})).open(request, timeout=_SECONDS) as answer:
            return Running(url, msgspec.json.decode(answer.read(_MOST_BYTES), type=SwarmDocument))
    except HTTPError as error:
        with error:
            refused = f"the gateway at {url} takes none of the API keys configured here; give it one of its own"
            return Running(url, fault=refused if error.code in _REFUSED else "")
    except (URLError, HTTPException, OSError, ValueError, msgspec.MsgspecError):
        return Running(url)  # nobody is there, or somebody else
