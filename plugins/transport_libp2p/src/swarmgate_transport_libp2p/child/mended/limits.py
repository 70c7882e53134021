"""How much a host gives each peer: one value, and every bound of the mended rooms is in it."""

from __future__ import annotations

from typing import Annotated

import msgspec

_Count = Annotated[int, msgspec.Meta(ge=1)]
_Seconds = Annotated[float, msgspec.Meta(gt=0)]

#: Bytes that either side of a yamux stream may send before it has heard of a window (yamux, "Flow Control").
INITIAL_WINDOW = 256 * 1024


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of a host; times are seconds, sizes bytes."""

    connections: _Count = 512
    """Connections open at once, in both directions together."""

    handshakes: _Count = 64
    """Inbound connections that have not said yet who they are."""

    upgrade: _Seconds = 5.0
    """Time for TCP's newcomer to finish Noise and to agree on yamux."""

    dial: _Seconds = 5.0
    """Time for one address to answer, Noise and yamux included."""

    addresses: _Count = 8
    """Addresses of one peer that a dial tries."""

    inbound_streams: _Count = 1024
    """Streams per connection that the other side may have open; further ones are reset."""

    outbound_streams: _Count = 4096
    """Streams per connection that we may have open; further ones wait until one ends."""

    backlog: _Count = 256
    """Streams per connection that are opened but not taken up yet, in either direction."""

    window: Annotated[int, msgspec.Meta(ge=INITIAL_WINDOW, le=16 * 1024 * 1024)] = 1024 * 1024
    """Bytes of a stream that are held for a reader who does not read; then its writer waits."""

    queue: _Count = 128 * 1024
    """Bytes per connection that wait for the socket before writers wait too."""

    answers: _Count = 256 * 1024
    """Bytes of answers (pongs, resets, acknowledgements) queued for a peer that asks and does not read."""

    ping: _Seconds = 1.25
    """Quiet time after which the other side is pinged."""

    silence: _Seconds = 4.0
    """Time without a byte from the other side after which it is taken for dead."""

    calm_ping: _Seconds = 5.0
    """As ``ping``, while no stream is open that anybody waits for."""

    calm_silence: _Seconds = 16.0
    """As ``silence``, while no stream is open that anybody waits for."""

    linger: _Seconds = 30.0
    """Time that the other side has to end a stream which we have closed."""
