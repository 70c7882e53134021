"""URLs of servers as people write them; pure."""

from __future__ import annotations

from urllib.parse import urlsplit

from swarmgate.api import ConfigError

_FORM = "expected http://HOST:PORT or https://HOST, such as http://10.0.0.9:8080"


def base_of(url: str) -> str:
    """Return *url* without slashes and ``/v1`` at its end: what paths of the API are put behind.

    Raises:
        ConfigError: it is no such URL.  What it may hold of passwords is not repeated.

    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise ConfigError(f"url: this is no URL: {_FORM}") from None
    if "@" in parts.netloc:
        raise ConfigError("url: there is a name or password in it; give the key as api_key_file instead")
    if parts.query or parts.fragment:
        raise ConfigError(f"url: nothing may follow the path: {_FORM}")
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise ConfigError(f"url: {url.strip()[:200]!r} is no server's address: {_FORM}")
    path = parts.path.rstrip("/").removesuffix("/v1").rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path}"


def name_of(base: str) -> str:
    """Return what a server is called that has no name of its own."""
    return base.partition("://")[2]
