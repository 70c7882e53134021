from __future__ import annotations

import socket
import threading
from itertools import islice

import pytest
from live_gateway import free_port
from scripted_server import Answer, scripted
from swarmgate.cli.streaming import Gone, following, opened
from swarmgate.config.settings import Settings
from swarmgate.errors import Unreachable
from swarmgate.sse import ServerEvent

EVENTS = Answer(b": ping\n\nevent: a\ndata: 1\n\ndata: 2\n\n")


def test_events_are_read_as_they_come() -> None:
    """Asked with the configured key, further headers, and a body if there is one."""
    with scripted(EVENTS) as (settings, asked), opened(settings, "/x", {"a": 1}, headers={"X-Y": "z"}) as answered:
        assert answered.status == 200
        assert list(answered.events()) == [ServerEvent("a", b"1"), ServerEvent("message", b"2")]
    (one,) = asked
    assert (one.path, one.body, one.headers["authorization"], one.headers["x-y"]) == (
        "/x",
        b'{"a":1}',
        "Bearer k1",
        "z",
    )


def test_nobody_there_is_said_with_what_to_do() -> None:
    """As every verb says it."""
    settings = Settings(listen=f"127.0.0.1:{free_port()}")
    with (
        pytest.raises(Unreachable, match=r"no gateway answers at .*; start one with `gateway run`"),
        opened(settings, "/x"),
    ):
        pass


def test_who_hangs_up_has_broken_off() -> None:
    """It is not as if nobody were there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            listener.accept()[0].close()

        hanging_up = threading.Thread(target=hang_up)
        hanging_up.start()
        settings = Settings(listen=f"127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(Unreachable, match="has broken off"), opened(settings, "/x"):
            pass
        hanging_up.join()


def test_a_follower_tries_again() -> None:
    """That the gateway has gone is said once; then its events go on, asked for where it then is."""
    paths = iter(("/first", "/second"))
    with scripted(EVENTS) as (settings, asked):
        got = list(islice(following(settings, lambda: next(paths), able="be followed"), 5))
    assert got == [
        ServerEvent("a", b"1"),
        ServerEvent("message", b"2"),
        Gone(f"http://{settings.listen}"),
        ServerEvent("a", b"1"),
        ServerEvent("message", b"2"),
    ]
    assert [each.path for each in asked] == ["/first", "/second"]


@pytest.mark.parametrize(
    ("answer", "why"),
    [(Answer(status=401), "takes none of the API keys"), (Answer(status=404), "is no gateway that can be followed")],
)
def test_who_cannot_be_followed_is_told_plainly(answer: Answer, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The command ends with status 1; so it does where nobody is."""
    with scripted(answer) as (settings, _), pytest.raises(SystemExit, match="1"):
        next(following(settings, lambda: "/x", able="be followed"))
    assert why in capsys.readouterr().err
    with pytest.raises(SystemExit, match="1"):
        next(following(settings, lambda: "/x", able="be followed"))
    assert "no gateway answers at" in capsys.readouterr().err
