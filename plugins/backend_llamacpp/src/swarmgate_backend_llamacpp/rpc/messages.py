"""What a lender and its child, llama.cpp's RPC server, say to each other."""

from __future__ import annotations

from swarmgate.api import Frame

from swarmgate_backend_llamacpp.rpc.lease import Device


class Serve(Frame, frozen=True):
    """Start serving on loopback; sent once, first.

    *devices* are names, none: what is not the CPU, else the CPU.  *memory_limit* is in bytes for all
    devices together, 0: none.  *cache_dir* None: no tensor cache.
    """

    devices: tuple[str, ...]
    threads: int
    memory_limit: int
    cache_dir: str | None


class Serving(Frame, frozen=True):
    """The server answers on *port* of loopback."""

    port: int
    devices: tuple[Device, ...]
    rpc_version: str
    cores: int


class ServeFailed(Frame, frozen=True):
    """There is nothing to serve with, and trying again will not help; *message* says why."""

    message: str


class Report(Frame, frozen=True):
    """Say how much memory there is now."""


class Reported(Frame, frozen=True):
    """The devices, as of now."""

    devices: tuple[Device, ...]


ToChild = Serve | Report
FromChild = Serving | ServeFailed | Reported
