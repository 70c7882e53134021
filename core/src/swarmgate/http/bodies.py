"""The bytes of a request, up to a limit."""

from __future__ import annotations

from litestar.types import Receive, Scope

from swarmgate.http.faults import BodyTooLarge, EncodedBody


class ClientGone(Exception):
    """The client hung up before its request was complete."""


def header(scope: Scope, name: bytes) -> str:
    """Return the value of the header of that lower-case *name*, empty if there is none."""
    for key, value in scope["headers"]:
        if key == name:
            return value.decode("latin-1")
    return ""


def credentials(scope: Scope) -> str:
    """Return what the request shows to be let in, as the value of ``Authorization`` says it; empty if it shows nothing.

    Anthropic's clients show the same key as ``x-api-key``.
    """
    shown = header(scope, b"authorization")
    if not shown and (key := header(scope, b"x-api-key")):
        return f"Bearer {key}"
    return shown


async def body_of(scope: Scope, receive: Receive, *, limit: int) -> bytes:
    """Return the request's body, of at most *limit* bytes.

    Raises:
        BodyTooLarge: there is more, by the header's word or in fact.
        EncodedBody: it is compressed.
        ClientGone: it ended too soon.

    """
    encoding = header(scope, b"content-encoding")
    if encoding not in {"", "identity"}:
        raise EncodedBody(f"expected a body that is not compressed, found content-encoding {encoding!r}; send it plain")
    declared = header(scope, b"content-length")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit, found=f"{int(declared)} bytes")
    chunks: list[bytes] = []
    length = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        chunk = message["body"]
        length += len(chunk)
        if length > limit:
            raise _too_large(limit, found="more")
        chunks.append(chunk)
        if not message["more_body"]:
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large(limit: int, *, found: str) -> BodyTooLarge:
    return BodyTooLarge(f"expected a body of at most {limit} bytes, found {found}; raise max_body_mb or send less")
