"""A hub on loopback, with the paths of Hugging Face's that its library asks, and with whatever may go wrong there."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class FakeHub:
    """What the hub has, and how it behaves.

    *files* are those of each repository by their paths.  *hashes* are told in place of the true ones.  *cuts* is after
    how many bytes each of the next answers with a file breaks off.  With a *token* nobody reads without it; *gated*
    repositories are shown and not given.  *ranges* are what was asked of files, *tags* whether they have an ETag.
    """

    url: str = ""
    files: dict[str, dict[str, bytes]] = field(default_factory=dict[str, dict[str, bytes]])
    hashes: dict[str, str] = field(default_factory=dict[str, str])
    cuts: list[int] = field(default_factory=list[int])
    token: str = ""
    gated: set[str] = field(default_factory=set[str])
    ranges: list[str] = field(default_factory=list[str])
    shown: list[str] = field(default_factory=list[str])
    tags: bool = True

    def listing(self, repo: str) -> bytes:
        """Return what ``/api/models`` says of *repo*."""
        siblings = [
            {
                "rfilename": path,
                "size": len(data),
                "blobId": hashlib.sha1(data, usedforsecurity=False).hexdigest(),
                "lfs": {
                    "sha256": self.hashes.get(path, hashlib.sha256(data).hexdigest()),
                    "size": len(data),
                    "pointerSize": 130,
                },
            }
            for path, data in self.files[repo].items()
        ]
        return json.dumps({"_id": "1", "id": repo, "modelId": repo, "sha": COMMIT, "siblings": siblings}).encode()


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name it has there
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        self.hub.shown.append(self.headers.get("authorization", ""))
        steps = path.split("/")
        if steps[:2] == ["api", "models"]:
            self._api("/".join(steps[2:4]), "/".join(steps[4:]))
        elif len(steps) > 4 and steps[2] == "resolve":
            self._file("/".join(steps[:2]), "/".join(steps[4:]), body=body)
        elif steps[0] == "plain":
            self._file("plain", "/".join(steps[1:]), body=body)
        else:
            self._refuse(404)

    def _api(self, repo: str, rest: str) -> None:
        if repo not in self.hub.files or not self._may():
            self._refuse(401, "RepoNotFound")
        elif rest not in {"", f"revision/{COMMIT}", "revision/main"}:
            self._refuse(404, "RevisionNotFound")
        else:
            self._say(200, self.hub.listing(repo), {"Content-Type": "application/json"})

    def _file(self, repo: str, file: str, *, body: bool) -> None:
        data = self.hub.files.get(repo, {}).get(file)
        if repo in self.hub.gated:
            self._refuse(403, "GatedRepo")
            return
        if data is None or not self._may():
            self._refuse(404, "EntryNotFound")
            return
        asked = self.headers.get("range", "")
        if body:
            self.hub.ranges.append(asked)
        begin = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
        headers = {"X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if self.hub.tags:
            headers["ETag"] = f'"{hashlib.sha256(data).hexdigest()}"' if repo != "plain" else '"v1"'
        if asked:
            headers["Content-Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
        self._say(
            206 if asked else 200, data[begin:], headers, cut=self.hub.cuts.pop(0) if body and self.hub.cuts else None
        )

    def _may(self) -> bool:
        return not self.hub.token or self.headers.get("authorization") == f"Bearer {self.hub.token}"

    def _refuse(self, status: int, code: str = "") -> None:
        self._say(status, b'{"error": "no"}', {"X-Error-Code": code, "X-Error-Message": "no"} if code else {})

    def _say(self, status: int, data: bytes, headers: dict[str, str], cut: int | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data if cut is None else data[:cut])
        if cut is not None:
            self.wfile.flush()
            self.close_connection = True


@contextmanager
def fake_hub() -> Generator[FakeHub]:
    """Serve a hub on a free port of loopback until the block ends."""
    hub = FakeHub()
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub})) as server:
        hub.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()
