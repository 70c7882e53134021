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
_OK = 200
_REFUSED = frozenset({401, 403})


class Running(NamedTuple):
    """What was found at *url*: a gateway's own account, or a *fault* worth telling."""

    url: str
    swarm: SwarmDocument | None = None
    fault: str = ""


class Said(NamedTuple):
    """What whoever is at *url* answered; *status* is 0 if nobody did."""

    url: str
    status: int = 0
    body: bytes = b""

    @property
    def fault(self) -> str:
        """Return why a gateway that runs says nothing to us, empty if that is not so."""
        if self.status not in _REFUSED:
            return ""
        return f"the gateway at {self.url} takes none of the API keys configured here; give it one of its own"


def ask(settings: Settings, path: str) -> Said:
    """Return what is answered for *path* at the configured address."""
    host, _, port = settings.listen.rpartition(":")
    url = f"http://{_ANYWHERE.get(host, host)}:{port}"
    if not int(port):
        return Said(url)
    headers = {"Authorization": f"Bearer {settings.api_keys[0]}"} if settings.api_keys else {}
    request = Request(f"{url}{path}", headers=headers)  # noqa: S310  # http, and no other scheme
    try:
        # no proxy: it is this machine
        with build_opener(ProxyHandler({})).open(request, timeout=_SECONDS) as answer:
            return Said(url, answer.status, answer.read(_MOST_BYTES))
    except HTTPError as error:
        with error:
            return Said(url, error.code, _rest(error))
    except (URLError, HTTPException, OSError, ValueError):
        return Said(url)  # nobody is there


def ask_running(settings: Settings) -> Running:
    """Return what the gateway at the configured address says; neither account nor fault if there is none."""
    said = ask(settings, "/v1/swarm")
    if said.status != _OK:
        return Running(said.url, fault=said.fault)
    try:
        return Running(said.url, msgspec.json.decode(said.body, type=SwarmDocument))
    except (ValueError, msgspec.MsgspecError):
        return Running(said.url)  # it is somebody else


def _rest(error: HTTPError) -> bytes:
    try:
        return error.read(_MOST_BYTES)
    except (HTTPException, OSError):
        return b""
