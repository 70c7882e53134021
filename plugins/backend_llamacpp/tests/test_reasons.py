from __future__ import annotations

import errno
import socket

import pytest
from swarmgate_backend_llamacpp.rpc.reasons import reason


def wrapped(error: OSError) -> OSError:
    """Return *error* as anyio raises it after dialling several addresses."""
    outer = OSError("All connection attempts failed")
    outer.__cause__ = ExceptionGroup("several", [error, error])
    return outer


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('::1', 1)"), "connection refused"),
        (wrapped(OSError(errno.EHOSTUNREACH, "x")), "no route to host"),
        (socket.gaierror(-2, "Name or service not known"), "name or service not known"),
        (UnicodeError("label too long"), "label too long"),
        (OSError(), "OSError"),
    ],
)
def test_the_system_s_own_words_are_told(error: Exception, said: str) -> None:
    """Once, without numbers or addresses that the message has already."""
    assert reason(error) == said
