"""Models at addresses of the web: what the server tells of a file, and the file."""

from __future__ import annotations

import re
from http.client import HTTPException
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.file_download import http_get  # pyright: ignore[reportUnknownVariableType]  # tqdm has no types

from swarmgate.errors import PullError
from swarmgate.pulling.bringing import Parcel
from swarmgate.pulling.hub import translated
from swarmgate.pulling.wanted import FromWeb

_SECONDS = 30.0
_SHA256 = re.compile(r"[0-9a-f]{64}")
_UNSEEN = re.compile(r"//[^/@]*@")


def parcel(wanted: FromWeb) -> Parcel:
    """Return the file that is *wanted* as it is brought from its server.

    Its hash is known if the server's ETag is one, as storages of hubs have it.  What was begun is gone on with only if
    the server says by an ETag or a date that it is still the same.

    Raises:
        PullError: it is not there, or may not be read, or the server cannot be reached.

    """
    shown = _UNSEEN.sub("//", wanted.url.partition("?")[0])
    request = Request(wanted.url, method="HEAD")  # noqa: S310  # http and https, and no other scheme
    try:
        with urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310  # likewise
            facts = answer.headers
    except HTTPError as error:
        with error:
            remedy = (
                "; give its address with what it asks for, or fetch it and pull the file"
                if error.code in {401, 403}
                else ""
            )
            raise PullError(f"{urlsplit(wanted.url).hostname} answered {error.code} for {shown}{remedy}") from None
    except (URLError, HTTPException, OSError, ValueError) as error:
        raise PullError(f"{shown} cannot be reached: {getattr(error, 'reason', None) or error}") from None
    length = facts.get("content-length", "")
    etag = facts.get("etag", "").strip().removeprefix("W/").strip('"')
    version = etag or facts.get("last-modified", "")
    size = int(length) if length.isdecimal() else None

    def fetch(stream: BinaryIO, had: int) -> None:
        if had and not version:
            stream.seek(0)
            stream.truncate()
            had = 0
        with translated(shown):
            try:
                http_get(wanted.url, stream, resume_size=had, expected_size=size, displayed_filename=wanted.file)
            except HfHubHTTPError as error:
                raise PullError(
                    f"{urlsplit(wanted.url).hostname} answered {error.response.status_code} for {shown}"
                ) from None

    sha256 = etag if _SHA256.fullmatch(etag) else ""
    return Parcel(wanted.file, f"web:{wanted.url}:{version}:{size}", size, sha256, fetch)
