from __future__ import annotations

import pytest
from swarmgate.api import ConfigError
from swarmgate_backend_openai.address import base_of, name_of


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://h:8080", "http://h:8080"),
        (" http://h:8080/v1/ ", "http://h:8080"),
        ("https://api.example/openai/v1", "https://api.example/openai"),
        ("http://[fd00::1]:80/", "http://[fd00::1]:80"),
    ],
)
def test_what_paths_are_put_behind(url: str, base: str) -> None:
    """A slash or /v1 at the end does not matter; what stands before does."""
    assert base_of(url) == base


@pytest.mark.parametrize(
    "url", ["", "h:8080", "ftp://h", "http://", "http://h:x", "http://h?a=b", "http://[::1", "http://h:0"]
)
def test_other_things_are_refused(url: str) -> None:
    """The message says what a server's address looks like."""
    with pytest.raises(ConfigError, match="expected http://HOST:PORT"):
        base_of(url)


def test_a_password_is_refused_and_not_repeated() -> None:
    """Keys do not belong into URLs, and an error that repeats one would leak it."""
    with pytest.raises(ConfigError, match="api_key_file") as caught:
        base_of("http://me:sesame@h:8080")
    assert "sesame" not in str(caught.value)


def test_a_server_is_called_by_its_address() -> None:
    """Without a name of its own it is host and port."""
    assert name_of("http://10.0.0.9:8080") == "10.0.0.9:8080"
