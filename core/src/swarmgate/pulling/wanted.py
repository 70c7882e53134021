"""What a text means that names a model to be pulled: a hub's repository, a file of it, a URL, or a path.  Pure.

Forms: ``ORG/REPO``, ``ORG/REPO:Q4_K_M`` (as Ollama and llama.cpp spell it), ``ORG/REPO/FILE.gguf``; the same behind
``hf://``, ``hf.co/``, ``huggingface.co/`` and LocalAI's ``huggingface://``, and with ``@REVISION`` at the end; pages
and files of a hub by their ``https://`` addresses; other ``https://`` and ``http://`` addresses; paths.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from swarmgate.errors import PullError
from swarmgate.modelfiles import ENDING

_PREFIXES = ("hf://", "huggingface://", "hf.co/", "huggingface.co/")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_TAG = re.compile(r"[A-Za-z0-9._-]+")
_HUBS = frozenset({"huggingface.co", "www.huggingface.co", "hf.co"})
#: What stands between the repository and the revision in the address of a file.
_FILE_PAGES = frozenset({"resolve", "blob", "raw"})
FORMS = "ORG/REPO, ORG/REPO:Q4_K_M, ORG/REPO/FILE.gguf, hf://..., huggingface://..., https://... or a path"


@dataclass(frozen=True, slots=True)
class FromHub:
    """A *file* of the repository *repo*; if that is empty the one whose weights have the type *tag*, or the usual."""

    repo: str
    file: str = ""
    tag: str = ""
    revision: str = ""


@dataclass(frozen=True, slots=True)
class FromWeb:
    """A file at *url*, to be called *file*."""

    url: str
    file: str


@dataclass(frozen=True, slots=True)
class FromHere:
    """A file at *path* on this machine."""

    path: str


Wanted = FromHub | FromWeb | FromHere


def read_wanted(text: str, exists: Callable[[str], bool], *, endpoint: str = "https://huggingface.co") -> Wanted:
    """Return what *text* means; *exists* says whether there is a file at a path, *endpoint* is where the hub is.

    Raises:
        PullError: it means nothing, or something that cannot be had.

    """
    if text.startswith(("./", "../", "/", "~")) or exists(text):
        return FromHere(text)
    for prefix in _PREFIXES:
        if text.startswith(prefix):
            return _of_hub(text.removeprefix(prefix), text)
    scheme = urlsplit(text).scheme
    if scheme in {"http", "https"}:
        return _at(text, endpoint)
    if "://" in text:
        raise PullError(f"nothing is pulled from {scheme}://; expected {FORMS}")
    return _of_hub(text, text)


def _of_hub(text: str, whole: str) -> FromHub:
    path, _, revision = text.partition("@")
    repo, _, tag = path.partition(":")
    org, name, *rest = repo.split("/") if "/" in repo else ("", "")
    if not _NAME.fullmatch(org) or not _NAME.fullmatch(name) or (tag and not _TAG.fullmatch(tag)):
        raise PullError(f"{whole!r} is neither a file here nor a model's name; expected {FORMS}")
    file = "/".join(rest)
    if file:
        _check(file, whole)
        if tag:
            raise PullError(f"{whole!r} names both a file and {tag!r}; leave one out")
    return FromHub(f"{org}/{name}", file, "" if tag.lower() == "latest" else tag, revision)


def _at(url: str, endpoint: str) -> Wanted:
    """Return what is at *url*: files of the hub are taken as such, since it knows their hashes."""
    parts = urlsplit(url)
    path = unquote(parts.path).strip("/").split("/")
    at_hub = parts.hostname in _HUBS or url.startswith(f"{endpoint.rstrip('/')}/")
    if at_hub and len(path) > 4 and path[2] in _FILE_PAGES:  # noqa: PLR2004  # ORG/REPO/resolve/REVISION/FILE
        file = "/".join(path[4:])
        _check(file, url)
        return FromHub("/".join(path[:2]), file, revision="" if path[3] == "main" else path[3])
    if at_hub and len(path) == 2:  # noqa: PLR2004  # ORG/REPO
        return FromHub("/".join(path))
    _check(path[-1], url)
    return FromWeb(url, path[-1])


def _check(file: str, whole: str) -> None:
    """Refuse what is no GGUF file, or would lie somewhere else than in the folder.

    Raises:
        PullError: it is so.

    """
    if not file.endswith(ENDING):
        raise PullError(f"{whole!r} is no GGUF file: its name would end in {ENDING}")
    if any(step in {"", ".", ".."} or step.startswith(".") or "\\" in step for step in file.split("/")):
        raise PullError(f"{whole!r} has a name that leads elsewhere")
