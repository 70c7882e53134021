"""Asks the gateway that runs where the configuration says, if one does."""

from __future__ import annotations

from http.client import HTTPException
from typing import Any, NamedTuple
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


class Told(NamedTuple):
    """What the gateway at *url* answered to an order: its *document*, or the *fault*, also if nobody is there."""

    url: str
    document: dict[str, Any] | None = None
    fault: str = ""


def tell_running(settings: Settings, path: str, order: dict[str, Any]) -> Told:
    """Post *order* to *path* of the gateway at the configured address."""
    url, request = _request(settings, path)
    request.data = msgspec.json.encode(order)
    request.add_header("Content-Type", "application/json")
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=_SECONDS) as answer:
            return Told(url, msgspec.json.decode(answer.read(_MOST_BYTES), type=dict[str, Any]))
    except HTTPError as error:
        with error:
            said = error.read(_MOST_BYTES)
        try:
            return Told(url, fault=str(msgspec.json.decode(said)["error"]["message"]))
        except (msgspec.DecodeError, KeyError, TypeError):
            return Told(url, fault=f"what answers at {url} is no gateway: it says {error.code} to {path}")
    except (URLError, HTTPException, OSError, ValueError) as error:
        return Told(
            url, fault=f"no gateway runs at {url} ({getattr(error, 'reason', error)}); start one, or say --config"
        )


def _request(settings: Settings, path: str) -> tuple[str, Request]:
    host, _, port = settings.listen.rpartition(":")
    url = f"http://{_ANYWHERE.get(host, host)}:{port}"
    headers = {"Authorization": f"Bearer {settings.api_keys[0]}"} if settings.api_keys else {}
    return url, Request(f"{url}{path}", headers=headers)  # noqa: S310  # http, and no other scheme


def ask_running(settings: Settings) -> Running:
    """Return what the gateway at the configured address says; neither account nor fault if there is none."""
    url, request = _request(settings, "/v1/swarm")
    if url.endswith(":0"):
        return Running(url)
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
