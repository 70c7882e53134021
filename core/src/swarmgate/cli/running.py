"""Asks the gateway that runs where the configuration says, if one does."""

from __future__ import annotations

from http.client import HTTPException
from typing import Any, NamedTuple, TypeVar
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

import msgspec

from swarmgate.cli.output import fail
from swarmgate.config.settings import Settings
from swarmgate.http.wire.swarm import SwarmDocument

KindT = TypeVar("KindT")
_SECONDS = 2.0
#: What a gateway says of what it does not know; any other 404 is a server's that is none.
_NOT_FOUND, _UNKNOWN = 404, frozenset({"request_not_found", "node_not_found"})
_MOST_BYTES = 8 << 20
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104  # compared, not bound
_OK = 200
_REFUSED = frozenset({401, 403})


class _Detail(msgspec.Struct):
    message: str
    code: str | None = None


class _Refusal(msgspec.Struct):
    """An error in OpenAI's shape."""

    error: _Detail


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


def address_of(settings: Settings) -> str:
    """Return the URL at which the configured gateway is reached from this machine."""
    host, _, port = settings.listen.rpartition(":")
    return f"http://{_ANYWHERE.get(host, host)}:{port}"


def headers_for(settings: Settings, *, body: bool = False) -> dict[str, str]:
    """Return the headers of a request to it: the first configured key, and what a *body* is."""
    headers = {"Authorization": f"Bearer {settings.api_keys[0]}"} if settings.api_keys else {}
    return headers | ({"Content-Type": "application/json"} if body else {})


def ask(settings: Settings, path: str, order: dict[str, Any] | None = None, *, seconds: float = _SECONDS) -> Said:
    """Return what is answered for *path* at the configured address in *seconds*; *order* is posted there, if any."""
    url = address_of(settings)
    if url.endswith(":0"):
        return Said(url)
    body = None if order is None else msgspec.json.encode(order)
    request = Request(f"{url}{path}", body, headers_for(settings, body=body is not None))  # noqa: S310  # http, and no other scheme
    try:
        # no proxy: it is this machine
        with build_opener(ProxyHandler({})).open(request, timeout=seconds) as answer:
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


def asked(settings: Settings, path: str, kind: type[KindT], *, able: str, order: dict[str, Any] | None = None) -> KindT:
    """Return what the running gateway says; end the command with status 1 and a plain message if it does not.

    *able* is what a gateway has to be able to do for this, in words.
    """
    said = ask(settings, path, order)
    document = _read(said.body, kind) if said.status == _OK else None
    if document is None:
        fail(why_nothing(said, able))
    return document


def reason_of(said: Said) -> str:
    """Return why what was *said* is a refusal, as far as it says."""
    refusal = _read(said.body, _Refusal)
    return said.fault or (refusal.error.message if refusal is not None else f"status {said.status}")


def why_nothing(said: Said, able: str) -> str:
    """Return why what was *said* is no answer of a gateway that is *able* to do what was wanted, in words."""
    refusal = _read(said.body, _Refusal)
    if said.fault:
        return said.fault
    if said.status == _NOT_FOUND and refusal is not None and refusal.error.code in _UNKNOWN:
        return refusal.error.message
    if said.status:
        return f"what answers at {said.url} is no gateway that can {able} (status {said.status})"
    return f"no gateway answers at {said.url}; start one with `gateway run`, or name its configuration with --config"


def _read(body: bytes, kind: type[KindT]) -> KindT | None:
    try:
        return msgspec.json.decode(body, type=kind)
    except (ValueError, msgspec.MsgspecError):
        return None
