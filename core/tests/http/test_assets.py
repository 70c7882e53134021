from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping

import pytest
from swarmgate.echo import EchoBackend
from swarmgate.errors import Unauthorized
from swarmgate.http.app import application
from swarmgate.http.assets import GREETING, assets
from swarmgate.http.door import Door
from visitor import Visitor

pytestmark = pytest.mark.anyio
MakeDoor = Callable[..., Door]
BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


async def get(door: Door, path: str, headers: Mapping[str, str] = BROWSER, method: str = "GET") -> Visitor:
    return await Visitor(path, method, headers=headers).visit(application(door))


@pytest.fixture
def door(make_door: MakeDoor) -> Door:
    return make_door(EchoBackend())


@pytest.mark.parametrize("path", ["/", "/swarm"])
async def test_browsers_get_the_page(door: Door, path: str) -> None:
    """With nothing inline, and a policy that lets nothing in from elsewhere."""
    visitor = await get(door, path)
    assert (visitor.status, visitor.answered["content-type"]) == (200, "text/html; charset=utf-8")
    policy = visitor.answered["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert (visitor.answered["x-content-type-options"], visitor.answered["referrer-policy"]) == (
        "nosniff",
        "no-referrer",
    )
    page = visitor.content.decode()
    assert "<script>" not in page
    assert "style=" not in page


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("headers", [{}, {"accept": "*/*"}, {"accept": "application/json"}])
async def test_others_are_told_that_somebody_is_there(door: Door, method: str, headers: dict[str, str]) -> None:
    """Clients look whether a server answers at its root."""
    visitor = await get(door, "/", headers, method)
    assert (visitor.status, visitor.content) == (200, GREETING)
    assert visitor.answered["content-type"].startswith("text/plain")


async def test_all_that_the_page_wants_is_there(door: Door) -> None:
    """Each file it names has its kind; what is built beside is there, too."""
    page = assets()["index.html"].plain.decode()
    for name, kind in (("page.js", "text/javascript"), ("style.css", "text/css"), ("icon.svg", "image/svg+xml")):
        assert f'"/page/{name}"' in page
        visitor = await get(door, f"/page/{name}")
        assert (visitor.status, visitor.answered["content-type"].partition(";")[0]) == (200, kind)
        assert visitor.content == assets()[name].plain


async def test_it_is_sent_compressed_and_once(door: Door) -> None:
    """To who takes gzip; who has this very form of it already gets its tag alone."""
    packed = await get(door, "/page/page.js", {"accept-encoding": "br, gzip"})
    assert packed.answered["content-encoding"] == "gzip"
    assert gzip.decompress(packed.content) == assets()["page.js"].plain
    plain = await get(door, "/page/page.js", {})
    assert "content-encoding" not in plain.answered
    assert plain.answered["etag"] != packed.answered["etag"]
    for tag in (plain.answered["etag"], f'"x", W/{plain.answered["etag"]}'):
        again = await get(door, "/page/page.js", {"if-none-match": tag})
        assert (again.status, again.content, again.answered["etag"]) == (304, b"", plain.answered["etag"])
    assert (await get(door, "/page/page.js", {"if-none-match": packed.answered["etag"]})).status == 200


@pytest.mark.parametrize(
    "path",
    ["/page/", "/page/none", "/page/../assets.py", "/page/..%2fassets.py", "/page//etc/passwd", "/page/./index.html"],
)
async def test_no_path_leads_out_of_the_folder(door: Door, path: str) -> None:
    """What is not a file of the page is not there."""
    assert (await get(door, path)).status == 404


async def test_the_page_is_open_where_keys_are_configured(make_door: MakeDoor) -> None:
    """It holds no data; the data still wants a key."""
    door = make_door(EchoBackend(), api_keys=("k",))
    for path in ("/", "/swarm", "/page/page.js"):
        assert (await get(door, path)).status == 200
    for path in ("/v1/swarm", "/v1/swarm/events", "/p2p/token", "/v1/models"):
        assert (await get(door, path)).status == Unauthorized.status
