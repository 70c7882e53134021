"""The Swarm page: files that were built beforehand (``make page``) and lie in the folder ``page`` beside this room.

Only what was read there at the start can be had, so that no path leads out of the folder.  The page is open even where
API keys are configured: it holds no data, and asks whoever opened it for a key.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler

from swarmgate.http.bodies import header
from swarmgate.http.faults import UnknownPath
from swarmgate.http.routes import READ

#: The page itself is at these, its other files in the folder.
PAGE_PATHS = ("/", "/swarm")
PAGE_FOLDER = "/page/"
INDEX = "index.html"
#: What clients read that look whether somebody is there; Ollama's looks for a 200 alone.
GREETING = b"Swarmgate is running\n"

_KINDS = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}
#: Nothing from elsewhere, nothing inline, nobody around it, and scripts that write no markup.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none';"
        " require-trusted-types-for 'script'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",  # it may be kept, and is asked for anew by its tag
}


class Asset(NamedTuple):
    """One file, as it is and compressed by gzip; *tag* changes with its content."""

    kind: str
    plain: bytes
    packed: bytes
    tag: str


@cache
def assets() -> Mapping[str, Asset]:
    """Return the page's files by their names."""
    found: dict[str, Asset] = {}
    for file in files("swarmgate.http").joinpath("page").iterdir():
        kind = _KINDS.get(file.name[file.name.rfind(".") :])
        if kind is not None:
            content = file.read_bytes()
            tag = hashlib.blake2b(content, digest_size=12).hexdigest()
            found[file.name] = Asset(kind, content, gzip.compress(content, mtime=0), tag)
    return found


assets()  # now: there is no waiting for files where requests are answered


def asset_response(name: str, headers: Mapping[str, str]) -> Response[bytes]:
    """Return the file *name* for who sent *headers* (their names in small letters): nothing, if they have it already.

    Raises:
        UnknownPath: there is no such file.

    """
    asset = assets().get(name)
    if asset is None:
        raise UnknownPath(f"the page has no file {name[:40]!r}")
    packs = "gzip" in headers.get("accept-encoding", "")
    tag = f'"{asset.tag}-gz"' if packs else f'"{asset.tag}"'
    told = {**_HEADERS, "ETag": tag, "Vary": "Accept, Accept-Encoding"}
    known = [each.strip().removeprefix("W/") for each in headers.get("if-none-match", "").split(",")]
    if tag in known:
        return Response(b"", status_code=304, headers=told)
    if packs:
        told["Content-Encoding"] = "gzip"
    return Response(asset.packed if packs else asset.plain, headers=told, media_type=asset.kind)


def page_routes() -> list[HTTPRouteHandler]:
    """Return the handlers of the page and its files; who takes no HTML is told that somebody is there."""

    @route(list(PAGE_PATHS), http_method=READ)
    async def page(request: Request[Any, Any, Any]) -> Response[bytes]:
        if "text/html" in header(request.scope, b"accept"):
            return asset_response(INDEX, _asked(request))
        return Response(GREETING, media_type="text/plain", headers={"Vary": "Accept"})

    @route(PAGE_FOLDER + "{name:str}", http_method=READ)
    async def file(request: Request[Any, Any, Any]) -> Response[bytes]:
        return asset_response(str(request.path_params["name"]), _asked(request))

    return [page, file]


def _asked(request: Request[Any, Any, Any]) -> dict[str, str]:
    names = ("accept-encoding", "if-none-match")
    return {name: header(request.scope, name.encode()) for name in names}
