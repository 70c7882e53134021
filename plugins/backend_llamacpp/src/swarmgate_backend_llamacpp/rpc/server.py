"""The RPC server's process: frames on stdin and stdout, llama.cpp's protocol on a port of loopback.

llama.cpp's server never returns, and may abort when a client errs; so it has a process to itself.
The main thread is the server's, another reads frames, a third asks the server whether it answers.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from swarmgate.api import EngineError, SwarmgateError, WireError

from swarmgate_backend_llamacpp.pipes import Pipes
from swarmgate_backend_llamacpp.rpc.cache import open_cache
from swarmgate_backend_llamacpp.rpc.hello import Interview
from swarmgate_backend_llamacpp.rpc.messages import Report, Reported, Serve, ServeFailed, Serving, ToChild

_LOOPBACK = "127.0.0.1"
_CHUNK = 1 << 16
#: How long llama.cpp may take to open its devices and listen.
_START_SECONDS = 60.0
_POLL_SECONDS = 0.02
_FAILED = 70


def main() -> None:
    """Serve as the first frame says, until stdin ends."""
    pipes = Pipes[ToChild](ToChild)
    serve = pipes.read()
    if not isinstance(serve, Serve):
        sys.exit(f"expected Serve first, got {type(serve).__name__}")
    # Heavy, and of no use before there is something to serve.
    from swarmgate_backend_llamacpp.rpc.devices import Lent

    try:
        if serve.cache_dir is not None:
            open_cache(Path(serve.cache_dir))
        lent = Lent(serve)
    except SwarmgateError as error:
        pipes.say([ServeFailed(str(error))])
        pipes.read()  # stay, so that this is an answer and not a death; the lender ends us
        return
    port = _free_port()
    threading.excepthook = _end_with
    threading.Thread(target=_introduce, args=(pipes, lent, port), name="introduction", daemon=True).start()
    lent.serve(f"{_LOOPBACK}:{port}")
    sys.exit("llama.cpp's RPC server ended")


def _introduce(pipes: Pipes[ToChild], lent: Any, port: int) -> None:
    """Say that the server answers, once it does; then answer for it."""
    interview = ask(port, seconds=_START_SECONDS)
    pipes.say([Serving(port, lent.report(), str(interview.version), os.cpu_count() or 0)])
    while isinstance(pipes.read(), Report):
        pipes.say([Reported(lent.report())])


def ask(port: int, *, seconds: float) -> Interview:
    """Ask the RPC server on *port* of loopback the way a client would, until it answers.

    Raises:
        EngineError: it did not within *seconds*, or what answers is no RPC server.

    """
    end = time.monotonic() + seconds
    while True:
        interview = Interview()
        try:
            with socket.create_connection((_LOOPBACK, port), timeout=seconds) as connection:
                request = interview.begin()
                while not interview.done:
                    connection.sendall(request)
                    request = _answer(connection, interview)
                return interview
        except (OSError, WireError) as error:
            if time.monotonic() > end:
                raise EngineError(f"llama.cpp's RPC server does not answer on port {port}: {error}") from None
            threading.Event().wait(_POLL_SECONDS)


def _answer(connection: socket.socket, interview: Interview) -> bytes:
    request = b""
    while not request and not interview.done:
        data = connection.recv(_CHUNK)
        if not data:
            raise WireError("the connection was closed")
        request = interview.feed(data)
    return request


def _free_port() -> int:
    """Return a port that is free now; should another take it meanwhile, the lender starts us again."""
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _end_with(failure: threading.ExceptHookArgs) -> None:
    """End the process: a server that nobody knows of is of no use."""
    sys.excepthook(failure.exc_type, failure.exc_value or failure.exc_type(), failure.exc_traceback)
    os._exit(_FAILED)
