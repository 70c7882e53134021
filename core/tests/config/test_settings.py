from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from swarmgate.config.fields import fields_of
from swarmgate.config.settings import Settings


def test_every_setting_is_explained() -> None:
    """Whoever reads the manual or the template finds a word on each."""
    assert [name for name, field in fields_of(Settings).items() if not field.help] == []


def test_state_is_kept_where_told_or_in_the_users_own_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """XDG_STATE_HOME is honoured."""
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert Settings().state_path() == Path("/state/swarmgate")
    assert Settings(state_dir="/here").state_path() == Path("/here")


@pytest.mark.parametrize("address", ["127.0.0.1:8080", "localhost:0", "[::1]:65535", "0.0.0.0:80", "[fe80::1%eth0]:1"])
def test_an_address_has_a_host_and_a_port(address: str) -> None:
    """Names, IPv4 and bracketed IPv6."""
    assert msgspec.convert({"listen": address}, Settings).listen == address


@pytest.mark.parametrize(
    "address", ["8080", ":8080", "localhost", "::1:80", "h:65536", "h:-1", "h:1 ", "http://h:1", "h:1\n"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    """Whatever could not be listened on because of its form."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"listen": address}, Settings)
