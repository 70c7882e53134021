from __future__ import annotations

from collections.abc import Callable

import pytest
from swarmgate.echo import EchoBackend
from swarmgate.http.app import application
from swarmgate.http.door import Door
from visitor import Visitor

pytestmark = pytest.mark.anyio
MakeDoor = Callable[..., Door]
_PAGE = "https://chat.example"


async def test_unknown_paths_are_404_in_openais_shape(make_door: MakeDoor) -> None:
    """A path that nothing is served under is told so, with where to look."""
    for path in ("/v1", "/v1/nothing", "/v1/chat/completions/more", "/v1/engines"):
        visitor = await Visitor(path=path, method="GET").visit(application(make_door(EchoBackend())))
        assert visitor.status == 404
        assert visitor.json["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "/v1/chat/completions", {"POST", "OPTIONS"}), ("POST", "/v1/models", {"GET", "HEAD", "OPTIONS"})],
)
async def test_wrong_methods_are_told_the_right_ones(
    make_door: MakeDoor, method: str, path: str, allowed: set[str]
) -> None:
    """405 names what the path takes, in the header and in words."""
    visitor = await Visitor(path=path, method=method).visit(application(make_door(EchoBackend())))
    assert visitor.status == 405
    assert set(visitor.answered["allow"].split(", ")) == allowed
    assert visitor.json["error"]["code"] == "method_not_allowed"


async def test_head_and_options(make_door: MakeDoor) -> None:
    """HEAD is answered like GET, OPTIONS with what there is."""
    app = application(make_door(EchoBackend()))
    assert (await Visitor(path="/v1/models", method="HEAD").visit(app)).status == 200
    options = await Visitor(path="/v1/models", method="OPTIONS").visit(app)
    assert options.status == 204
    assert "GET" in options.answered["allow"]


async def test_keys_are_asked_for(make_door: MakeDoor) -> None:
    """With keys configured nothing is answered without one, except to whoever watches over us."""
    app = application(make_door(EchoBackend(), api_keys=("secret",)))
    for path in ("/v1/models", "/metrics", "/version", "/health", "/schema/openapi.json"):
        visitor = await Visitor(path=path, method="GET").visit(app)
        assert visitor.status == 401
        assert visitor.json["error"]["code"] == "invalid_api_key"
        assert visitor.answered["www-authenticate"] == "Bearer"
        headers = {"Authorization": "Bearer secret"}
        assert (await Visitor(path=path, method="GET", headers=headers).visit(app)).status == 200
    for path in ("/healthz", "/livez", "/readyz"):
        assert (await Visitor(path=path, method="GET").visit(app)).status == 200


async def test_anthropics_header_shows_a_key_too(make_door: MakeDoor) -> None:
    """At any path; a wrong one is wrong there as well."""
    app = application(make_door(EchoBackend(), api_keys=("secret",)))
    for key, status in (("secret", 200), ("other", 401), ("", 401)):
        visitor = Visitor(path="/v1/models", method="GET", headers={"X-Api-Key": key})
        assert (await visitor.visit(app)).status == status


async def test_a_wrong_key_is_refused_before_the_body_is_read(make_door: MakeDoor) -> None:
    """Who has no key cannot make the gateway read megabytes."""
    visitor = Visitor(body=[b"x" * 1000] * 3)
    await visitor.visit(application(make_door(EchoBackend(), api_keys=("secret",))))
    assert visitor.status == 401
    assert visitor.unread == 3


async def test_cors_is_off_unless_configured(make_door: MakeDoor) -> None:
    """Without origins no page in a browser may read an answer."""
    visitor = await Visitor(path="/v1/models", method="GET", headers={"Origin": _PAGE}).visit(
        application(make_door(EchoBackend()))
    )
    assert not [name for name in visitor.answered if name.startswith("access-control")]


async def test_cors_lets_the_configured_pages_in(make_door: MakeDoor) -> None:
    """A page of a configured origin may ask first, without a key, and read answers and errors."""
    app = application(make_door(EchoBackend(), cors_origins=(_PAGE,), api_keys=("secret",)))
    asking = {
        "Origin": _PAGE,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-stainless-os",
    }
    preflight = await Visitor(method="OPTIONS", headers=asking).visit(app)
    assert preflight.status == 204
    assert preflight.answered["access-control-allow-origin"] == _PAGE
    assert "authorization" in preflight.answered["access-control-allow-headers"].lower()
    shown = {"Origin": _PAGE, "Authorization": "Bearer secret"}
    answered = (await Visitor(path="/v1/models", method="GET", headers=shown).visit(app)).answered
    assert "x-gateway-route-reason" in answered["access-control-expose-headers"].lower()
    refused = await Visitor(path="/v1/models", method="GET", headers={"Origin": _PAGE}).visit(app)
    assert refused.status == 401
    assert refused.answered["access-control-allow-origin"] == _PAGE
    other = await Visitor(path="/healthz", method="GET", headers={"Origin": "https://evil.example"}).visit(app)
    assert "access-control-allow-origin" not in other.answered
