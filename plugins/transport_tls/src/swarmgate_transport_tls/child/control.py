"""A control connection, held: the client asks every second whether the other side is there, and both notice silence."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from contextlib import suppress

from swarmgate.api import Frame, WireError, encode_frame

from swarmgate_transport_tls.child.pulse import MOST_MISSED, TICK_SECONDS, Pulse
from swarmgate_transport_tls.child.secured import Secured
from swarmgate_transport_tls.child.sockets import close_softly, expect_answers, reason, reset
from swarmgate_transport_tls.child.words import Bye, Ping, Pong, control_words, short


class Control:
    """One side of a control connection.

    *asks* is whether this side pings; *measured* is called with each round trip, in seconds.  *still_good* raises
    WireError once the other side may no longer be here.
    """

    def __init__(
        self, connection: Secured, *, asks: bool, measured: Callable[[float], None], still_good: Callable[[], object]
    ) -> None:
        self._connection, self._asks, self._measured, self._still_good = connection, asks, measured, still_good
        self._pulse = Pulse()
        self._ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        expect_answers(connection.sock, MOST_MISSED * TICK_SECONDS)

    def __repr__(self) -> str:
        return f"<Control {self._connection!r}>"

    def end(self, why: str) -> None:
        """End it, and tell the other side *why*."""
        if not self._ended.done():
            self._say(Bye(reason=short(why)))
            self._ended.set_result(why)

    async def hold(self) -> str:
        """Hold it until it ends, and return why it did; the socket is closed then."""
        tasks = [asyncio.ensure_future(self._listen()), asyncio.ensure_future(self._tick())]
        try:
            done, _ = await asyncio.wait({*tasks, self._ended}, return_when=asyncio.FIRST_COMPLETED)
            return next(iter(done)).result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._ended.done():
                await close_softly(self._connection.sock)
            else:
                reset(self._connection.sock)

    async def _listen(self) -> str:
        words = control_words()
        try:
            while True:
                word = await self._connection.hear(words)
                self._pulse.heard()
                match word:
                    case Ping(number=number):
                        self._say(Pong(number))
                    case Pong(number=number):
                        if self._pulse.answered(number, time.monotonic()) and self._pulse.rtt_seconds is not None:
                            self._measured(self._pulse.rtt_seconds)
                    case Bye(reason=why):
                        return f"it ended the connection: {short(why)}"
        except EOFError:
            return "it has gone"
        except WireError as error:
            return f"it breaks the protocol: {error}"
        except OSError as error:
            return f"the connection is lost: {reason(error)}"

    async def _tick(self) -> str:
        while True:
            if self._asks:
                self._say(Ping(self._pulse.ask(time.monotonic())))
            await asyncio.sleep(TICK_SECONDS)
            try:
                self._still_good()
            except WireError as error:
                self.end(str(error))
                return str(error)
            if not self._pulse.tick():
                return f"no word from it for {MOST_MISSED * TICK_SECONDS:g} s"

    def _say(self, word: Frame) -> None:
        """Send *word* if there is room, as there always is on a connection whose other side listens."""
        with suppress(OSError, ssl.SSLError):
            self._connection.tls.write(encode_frame(word))
            data = self._connection.outgoing.read()
            if self._connection.sock.send(data) < len(data):
                reset(self._connection.sock)  # half a record would spoil all that follow
