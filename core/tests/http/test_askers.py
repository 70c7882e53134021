from __future__ import annotations

from typing import Any

import pytest
from swarmgate.admission import Asker
from swarmgate.http.askers import asker_of


def scope(*headers: tuple[bytes, bytes], client: tuple[str, int] | None = ("10.0.0.5", 1)) -> Any:
    return {"type": "http", "headers": list(headers), "client": client}


def test_keys_are_told_apart_and_not_kept() -> None:
    """Two requests with one key are one asker's, another key is another's; the key itself is nowhere."""
    one, again, two = (asker_of(scope((b"authorization", b"Bearer " + key))) for key in (b"sk-one", b"sk-one", b"sk-2"))
    assert one == again != two
    assert "sk-" not in repr(one)
    assert "10.0.0.5" not in one.key


def test_a_key_is_the_same_however_it_is_shown() -> None:
    """Anthropic's header counts as OpenAI's does, and not where both are there."""
    bearer, own = (b"authorization", b"Bearer sk-one"), (b"x-api-key", b"sk-one")
    assert asker_of(scope(own)) == asker_of(scope(bearer))
    assert asker_of(scope(bearer, (b"x-api-key", b"other"))) == asker_of(scope(bearer))


def test_without_a_key_the_address_tells() -> None:
    """Ports do not matter, and a request from nowhere is somebody too."""
    assert asker_of(scope()) == Asker("10.0.0.5")
    assert asker_of(scope(client=None)) == Asker("")


@pytest.mark.parametrize(
    ("name", "value", "seconds"),
    [
        (b"x-stainless-read-timeout", b"600", 600.0),
        (b"x-stainless-timeout", b"2.5", 2.5),
        (b"x-request-timeout", b"0.25", 0.25),
        (b"x-request-timeout", b"0", None),
        (b"x-request-timeout", b"-1", None),
        (b"x-request-timeout", b"nan", None),
        (b"x-request-timeout", b"soon", None),
    ],
)
def test_patience_is_read_from_the_clients_header(name: bytes, value: bytes, seconds: float | None) -> None:
    """What is no time to wait is none."""
    assert asker_of(scope((name, value))).seconds == seconds


def test_the_nearest_word_counts() -> None:
    """What anybody may send goes before what an SDK adds by itself."""
    both = scope((b"x-stainless-read-timeout", b"600"), (b"x-request-timeout", b"3"))
    assert asker_of(both).seconds == 3
